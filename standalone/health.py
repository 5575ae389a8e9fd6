"""Finds out from the API whether the whole system works."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import httpx

from holdfast.errors import Unavailable

ASK_EVERY = timedelta(milliseconds=100)


async def answers(api_url: str) -> bool:
    """True when the API answers at all, be it healthy or not."""
    async with httpx.AsyncClient(timeout=2) as client:
        status, _ = await _ask(client, api_url)
    return status is not None


async def wait_until_healthy(
    api_url: str, *, within: timedelta, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Return as soon as the API's health check passes.

    Args:
        api_url: The API's root.
        within: How long to wait.
        meanwhile: Called before each question; may raise what makes waiting pointless.

    Raises:
        Unavailable: It did not pass in time; carries the last answer.
    """
    answer = "nothing"
    try:
        async with asyncio.timeout(within.total_seconds()), httpx.AsyncClient() as client:
            while True:
                meanwhile()
                status, answer = await _ask(client, api_url)
                if status == httpx.codes.OK:
                    return
                await asyncio.sleep(ASK_EVERY.total_seconds())
    except TimeoutError:
        raise Unavailable(
            f"{api_url} was not healthy after {within.total_seconds():g} s; it said: {answer}"
        ) from None


async def _ask(client: httpx.AsyncClient, api_url: str) -> tuple[int | None, str]:
    try:
        response = await client.get(f"{api_url}/api/system/health")
    except httpx.HTTPError as error:
        return None, str(error)
    return response.status_code, response.text[:1000]

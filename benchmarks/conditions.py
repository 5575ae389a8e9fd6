"""Owns waiting for what another process will have done soon."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

_ASK_EVERY = timedelta(milliseconds=100)


async def until(condition: Callable[[], Awaitable[bool]], *, within: timedelta) -> None:
    """Ask until the answer is yes.

    Raises:
        TimeoutError: If it was not in time.
    """
    async with asyncio.timeout(within.total_seconds()):
        while not await condition():  # noqa: ASYNC110  # another process's doing
            await asyncio.sleep(_ASK_EVERY.total_seconds())

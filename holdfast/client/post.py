"""What the sending threads share: how Holdfast is reached, and when to try again."""

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

FIRST_WAIT = timedelta(seconds=0.5)
LONGEST_WAIT = timedelta(seconds=30)
LONGEST_ASKED_WAIT = timedelta(minutes=5)
TRY_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


def post_office(url: str, key: str, *, timeout: timedelta) -> httpx.Client:
    """A connection to Holdfast's API, for one thread.

    Args:
        url: Where it answers.
        key: The API key.
        timeout: How long an answer may take.
    """
    return httpx.Client(
        base_url=f"{url}/api/system",
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        timeout=httpx.Timeout(timeout.total_seconds(), connect=min(5, timeout.total_seconds())),
    )


def backoff(attempt: int, *, longest: timedelta = LONGEST_WAIT) -> timedelta:
    """The wait after a failed attempt: doubling from half a second to the longest, with jitter.

    "Equal jitter" (AWS Architecture Blog, "Exponential Backoff and Jitter"): half is fixed, half
    is random, so that a fleet that lost Holdfast at one moment does not come back at one moment.
    """
    wait = min(longest, FIRST_WAIT * 2.0 ** min(attempt, 16))
    return wait * random.uniform(0.5, 1)  # noqa: S311 - jitter needs no cryptography


def retry_after(response: httpx.Response, *, now: datetime) -> timedelta:
    """The wait that the answer asks for, in seconds or as a date (RFC 9110, 10.2.3), capped."""
    value: str = response.headers.get("Retry-After", "")
    with suppress(ValueError, OverflowError):
        if value.isdecimal():
            return min(timedelta(seconds=int(value)), LONGEST_ASKED_WAIT)
        return min(parsedate_to_datetime(value).astimezone(UTC) - now, LONGEST_ASKED_WAIT)
    return timedelta()


def is_later(response: httpx.Response) -> bool:
    """Whether the answer means that the same request may well be taken later."""
    return response.is_server_error or response.status_code in TRY_AGAIN

"""The courier: sends what waits in the outbox, and keeps at it while Holdfast is away."""

import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from typing import Any

import httpx

from holdfast.client.outbox import Outbox

logger = logging.getLogger("holdfast")

BATCH = 100
FIRST_WAIT = timedelta(seconds=0.5)
LONGEST_WAIT = timedelta(seconds=30)
LONGEST_ASKED_WAIT = timedelta(minutes=5)
TIMEOUT = httpx.Timeout(10, connect=5)
TRY_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class Courier:
    """Carries batches to the API, one request at a time; :meth:`run` is a thread's whole life."""

    def __init__(self, outbox: Outbox, *, url: str, key: str) -> None:
        self._outbox = outbox
        self._url = f"{url}/api/system/errors"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def run(self) -> None:
        """Send until the outbox is closed."""
        with httpx.Client(headers=self._headers, timeout=TIMEOUT) as http:
            while batch := self._outbox.take(BATCH):
                try:
                    self._deliver(http, batch)
                finally:
                    # Whatever was not answered by now never will be: closed, or a fault of ours.
                    self._outbox.settle(len(batch), dropped=True)

    def _deliver(self, http: httpx.Client, batch: Sequence[bytes]) -> None:
        response = self._post(http, batch)
        if response is None:
            return
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(batch) > 1:
            middle = len(batch) // 2
            self._deliver(http, batch[:middle])
            self._deliver(http, batch[middle:])
            return
        self._outbox.settle(len(batch))
        _log_rejections(response, len(batch))

    def _post(self, http: httpx.Client, batch: Sequence[bytes]) -> httpx.Response | None:
        """The first answer that is not "later"; none when the outbox closes before that."""
        body = b"[" + b",".join(batch) + b"]"
        for attempt in count():
            wait = backoff(attempt)
            try:
                response = http.post(self._url, content=body)
            except httpx.RequestError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if not _is_later(response):
                    _log_return(attempt)
                    return response
                reason = f"HTTP {response.status_code}"
                wait = max(wait, retry_after(response, now=datetime.now(UTC)))
            if not attempt:
                logger.warning("Holdfast is away, keeping reports until it is back (%s)", reason)
            if not self._outbox.pause(wait):
                break
        return None


def backoff(attempt: int) -> timedelta:
    """The wait after a failed attempt: doubling from half a second to half a minute, with jitter.

    "Equal jitter" (AWS Architecture Blog, "Exponential Backoff and Jitter"): half is fixed, half
    is random, so that a fleet that lost Holdfast at one moment does not come back at one moment.
    """
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt, 16))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - jitter needs no cryptography


def retry_after(response: httpx.Response, *, now: datetime) -> timedelta:
    """The wait that the answer asks for, in seconds or as a date (RFC 9110, 10.2.3), capped."""
    value: str = response.headers.get("Retry-After", "")
    with suppress(ValueError, OverflowError):
        if value.isdecimal():
            return min(timedelta(seconds=int(value)), LONGEST_ASKED_WAIT)
        return min(parsedate_to_datetime(value).astimezone(UTC) - now, LONGEST_ASKED_WAIT)
    return timedelta()


def _is_later(response: httpx.Response) -> bool:
    return response.is_server_error or response.status_code in TRY_AGAIN


def _log_return(attempt: int) -> None:
    if attempt:
        logger.info("Holdfast is back after %d failed attempts", attempt)


def _log_rejections(response: httpx.Response, entries: int) -> None:
    """Tell the service's own log what Holdfast would not take: nobody else will hear of it."""
    if not response.is_success:
        logger.error(
            "Holdfast rejected %d reports: HTTP %d %s",
            entries,
            response.status_code,
            response.text[:500],
        )
        return
    for result in _results(response):
        if not result.get("accepted", True):
            logger.error("Holdfast rejected a report: %s", result.get("problem"))


def _results(response: httpx.Response) -> list[dict[str, Any]]:
    try:
        return [dict(result) for result in response.json()["results"]]
    except (ValueError, TypeError, KeyError):
        logger.warning("Holdfast's answer is not the expected JSON: %s", response.text[:500])
        return []

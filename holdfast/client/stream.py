"""The stream: hears what changes from Holdfast's API, and tells the switchboard.

Where a stream does not get through, as behind a proxy that holds answers back until they end, it
asks every few seconds instead.
"""

import logging
import random
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import Event as Flag
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from holdfast.client.events import Event, EventReader
from holdfast.client.post import backoff, is_later, post_office, retry_after
from holdfast.client.switchboard import Switchboard
from holdfast.domain.guidance import ServiceGuidance

logger = logging.getLogger("holdfast")

# More than two heartbeats of five seconds: who is silent for so long is gone.
SILENCE = timedelta(seconds=12)
# Shorter than the grace, so that one lost attempt does not end it.
LONGEST_WAIT = timedelta(seconds=5)
AFTER_A_REFUSAL = timedelta(seconds=30)
POLL_EVERY = timedelta(seconds=2)
POLL_FOR = timedelta(minutes=5)
LONGEST_ASKED_WAIT = 10_000  # milliseconds, as event streams have it


class _Guidance(BaseModel):
    services: list[Any]


class _Heartbeat(BaseModel):
    current: bool


class Stream:
    """Follows the API for as long as it is open; :meth:`run` is a thread's whole life.

    Args:
        switchboard: Is told what is heard.
        url: Where the API answers.
        key: The API key.
        silence: After so long without an event or a heartbeat the connection counts as gone.
    """

    def __init__(
        self, switchboard: Switchboard, *, url: str, key: str, silence: timedelta = SILENCE
    ) -> None:
        self._switchboard = switchboard
        self._silence = silence
        self._url = url
        self._key = key
        self._reader = EventReader()
        self._closing = Flag()
        self._socket: socket.socket | None = None
        self._failures = 0
        self._refused = False
        self._polls_until = 0.0
        self._etag = ""

    def run(self) -> None:
        """Listen until :meth:`close`."""
        with post_office(self._url, self._key, timeout=self._silence) as http:
            while not self._closing.is_set():
                try:
                    wait = self._follow(http)
                except Exception:  # The thread's edge: whoever stops listening decides alone.
                    logger.exception("Holdfast's event stream failed")
                    wait = AFTER_A_REFUSAL
                self._closing.wait(wait.total_seconds())

    def close(self) -> None:
        """Have :meth:`run` end soon, also while it waits for the next event."""
        self._closing.set()
        self._hang_up()

    def _follow(self, http: httpx.Client) -> timedelta:
        """Listen while that works, or ask; how long to wait before the next time."""
        if time.monotonic() < self._polls_until:
            return self._poll(http) or POLL_EVERY
        events, error = self._reader.events, None
        try:
            self._listen(http)
        except (httpx.HTTPError, ValueError) as broken:
            error = broken
        wait = self._wait_after(error)
        heard = self._reader.events > events
        if heard or self._refused or self._closing.is_set():
            return wait
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return wait
        if isinstance(error, httpx.ReadTimeout):
            self._polls_until = time.monotonic() + POLL_FOR.total_seconds()
            logger.info("No events come through from Holdfast: asking for them from now on")
        return self._poll(http) or wait

    def _listen(self, http: httpx.Client) -> None:
        """Take events until the connection ends."""
        self._reader.begin()
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._reader.last_id:
            headers["Last-Event-ID"] = self._reader.last_id
        with http.stream("GET", "/events", headers=headers) as response:
            response.raise_for_status()
            self._refused = False
            self._socket = response.extensions["network_stream"].get_extra_info("socket")
            try:
                if not self._closing.is_set():
                    self._take_all(response)
            finally:
                self._socket = None

    def _take_all(self, response: httpx.Response) -> None:
        for chunk in response.iter_bytes():
            for event in self._reader.feed(chunk):
                self._failures = 0
                self._take(event)
            if self._closing.is_set():
                return

    def _take(self, event: Event) -> None:
        try:
            match event.kind:
                case "snapshot":
                    self._take_snapshot(event.text)
                case "service":
                    guidance = ServiceGuidance.model_validate_json(event.text)
                    self._switchboard.heard([guidance], whole=False)
                case "heartbeat" if _Heartbeat.model_validate_json(event.text).current:
                    self._switchboard.contact()
        except ValidationError as error:
            logger.warning("Holdfast told what this client does not understand: %s", error)

    def _take_snapshot(self, text: str | bytes) -> None:
        services = []
        for told in _Guidance.model_validate_json(text).services:
            # One that a newer Holdfast tells in its own way does not take the others with it.
            try:
                services.append(ServiceGuidance.model_validate(told))
            except ValidationError as error:
                logger.warning("Holdfast told what this client does not understand: %s", error)
        self._switchboard.heard(services, whole=True)

    def _poll(self, http: httpx.Client) -> timedelta | None:
        """Ask how things stand; how long to wait if there is no answer."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        try:
            response = http.get("/features", headers=headers)
            if response.status_code != HTTPStatus.NOT_MODIFIED:
                response.raise_for_status()
                self._take_snapshot(response.content)
                self._etag = response.headers.get("ETag", "")
        except (httpx.HTTPError, ValueError) as error:
            return self._wait_after(error)
        self._refused = False
        self._switchboard.contact()
        return None

    def _wait_after(self, error: Exception | None) -> timedelta:
        if isinstance(error, httpx.HTTPStatusError) and not is_later(error.response):
            return self._wait_after_refusal(error.response)
        if error and not self._failures and not self._closing.is_set():
            logger.info("Holdfast's event stream broke off: %s", _told(error))
        wait = backoff(self._failures, longest=LONGEST_WAIT)
        self._failures += 1
        if isinstance(error, httpx.HTTPStatusError):
            return max(wait, retry_after(error.response, now=datetime.now(UTC)))
        asked = timedelta(milliseconds=min(self._reader.retry or 0, LONGEST_ASKED_WAIT))
        # With jitter, since a process of the API that ends lets go of all its clients at once.
        return max(wait, asked * random.uniform(0.5, 1))  # noqa: S311 - no cryptography

    def _wait_after_refusal(self, response: httpx.Response) -> timedelta:
        if not self._refused:
            self._refused = True
            logger.error(
                "Holdfast refuses its event stream: HTTP %d; breakers go by local rules alone",
                response.status_code,
            )
        return AFTER_A_REFUSAL

    def _hang_up(self) -> None:
        connection = self._socket
        if connection:
            # Not closed: that is for the thread that reads from it, and wakes up by this.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _told(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return f"{type(error).__name__}: {error}"

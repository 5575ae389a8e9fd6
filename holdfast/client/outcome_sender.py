"""The outcome sender: tells the fleet how guarded calls went, and asks it for probe leases.

A thread of its own beside the courier's, because what it carries is worth nothing later: it must
not wait behind reports that Holdfast is slow to take.
"""

import logging
import random
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from queue import Empty, SimpleQueue
from time import monotonic

import httpx

from holdfast.client.post import backoff, is_later, post_office
from holdfast.client.switchboard import Switchboard
from holdfast.domain.model import Model

logger = logging.getLogger("holdfast")

EVERY = timedelta(seconds=1)
TIMEOUT = timedelta(seconds=3)
LONGEST_WAIT = timedelta(seconds=5)


class LeaseAnswer(Model):
    """Whether a process may make a probe call.

    Attributes:
        expires_in: How long its lease is good for.
    """

    granted: bool
    expires_in: timedelta | None = None


class OutcomeSender:
    """Posts about once a second, and at once what is urgent; :meth:`run` is a thread's whole life.

    Args:
        switchboard: Where outcomes and wanted leases come from.
        url: Where Holdfast's API answers.
        key: The API key.
    """

    def __init__(self, switchboard: Switchboard, *, url: str, key: str) -> None:
        self._switchboard = switchboard
        self._url = url
        self._key = key
        # Not an event: a signal handler that makes a guarded call may interrupt this very thing.
        self._calls: SimpleQueue[None] = SimpleQueue()
        self._closed = False
        self._failures = 0
        self._refused = False

    def hurry(self) -> None:
        """Have what waits sent at once."""
        if self._calls.empty():
            self._calls.put(None)

    def close(self) -> None:
        """Send once more, then end."""
        self._closed = True
        self.hurry()

    def run(self) -> None:
        """Send until it is closed."""
        with post_office(self._url, self._key, timeout=TIMEOUT) as http:
            closing = False
            while not closing:
                self._wait()
                closing = self._closed
                try:
                    self._tell(http)
                    self._ask(http)
                except httpx.RequestError:
                    self._failures += 1
                except Exception:  # The thread's edge: a fault of ours must not end all sending.
                    logger.exception("The outcomes of calls could not be sent to Holdfast")

    def _wait(self) -> None:
        """Wait for the second to be over or for something urgent; while away, for longer."""
        if self._failures:
            pause = backoff(self._failures, longest=LONGEST_WAIT).total_seconds()
            resume_at = monotonic() + pause
            while not self._closed and (left := resume_at - monotonic()) > 0:
                self._listen(left)
        else:
            # Spread out, so that a fleet that started together does not post together.
            self._listen(EVERY.total_seconds() * random.uniform(0.9, 1))  # noqa: S311

    def _listen(self, seconds: float) -> None:
        """Wait until somebody calls; those who do meanwhile are heard with them."""
        with suppress(Empty):
            self._calls.get(timeout=seconds)
            while True:
                self._calls.get_nowait()

    def _tell(self, http: httpx.Client) -> None:
        batch = self._switchboard.take_outcomes()
        if batch is None:
            return
        try:
            response = self._post(http, "/outcomes", batch)
        except httpx.ReadTimeout:
            # It may have been taken all the same. A probe counts once however often it is told.
            self._switchboard.give_back(batch, probes_only=True)
            raise
        except httpx.RequestError:
            self._switchboard.give_back(batch)
            raise
        if is_later(response):
            self._switchboard.give_back(batch)

    def _ask(self, http: httpx.Client) -> None:
        wanted = self._switchboard.wanted_leases()
        # The first that gets no answer ends the round: that must not always be the same one.
        random.shuffle(wanted)
        for service, request in wanted:
            response = self._post(http, f"/circuit-breakers/{service}/lease", request)
            self._switchboard.lease_answered(service, request, _granted(response))

    def _post(self, http: httpx.Client, path: str, message: Model) -> httpx.Response:
        response = http.post(path, content=message.model_dump_json())
        if is_later(response):
            self._failures += 1
            return response
        self._failures = 0
        if not response.is_success and not self._refused:
            # Once: it would be the same every second.
            self._refused = True
            told = path, response.status_code, response.text[:500]
            logger.error("Holdfast refused %s: HTTP %d %s", *told)
        return response


def _granted(response: httpx.Response) -> timedelta | None:
    if response.status_code != HTTPStatus.OK:
        return None
    try:
        answer = LeaseAnswer.model_validate_json(response.content)
    except ValueError:
        logger.warning("Holdfast's answer is not the expected JSON: %s", response.text[:500])
        return None
    return answer.expires_in if answer.granted else None

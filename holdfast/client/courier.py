"""The courier: sends what waits in the outbox, and keeps at it while Holdfast is away."""

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from threading import RLock
from time import monotonic
from typing import Any

import httpx

from holdfast.client.batch import MOST_ENTRIES, Batch, batches
from holdfast.client.entry import Entry
from holdfast.client.outbox import Outbox
from holdfast.client.post import backoff, is_later, post_office, retry_after
from holdfast.client.spill import Record, Spill

logger = logging.getLogger("holdfast")

TIMEOUT = timedelta(seconds=10)
# Between two batches, so that a storm becomes few of them.
REST = timedelta(seconds=0.2)
# Some five minutes of a Holdfast that answers 500 to a batch, while it may take others.
MOST_FAULTS = 15
# How often to look for what other processes left behind.
ADOPT_EVERY = timedelta(minutes=1)
# A key can be put right, if only for the next process: until then its reports are kept.
_KEY_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


@dataclass(eq=False)
class _Parcel:
    """A batch on its way.

    Attributes:
        record: Where it is on disk; None while it is in memory only.
        is_own: Whether this process took its reports, so that the outbox counts them.
    """

    batch: Batch
    record: Record | None = None
    is_own: bool = True


class Courier:
    """Carries batches to the API, one request at a time; :meth:`run` is a thread's whole life.

    What fails is written to the spill and goes again later, under the same key. Where that can't
    be, it stays in memory, and what comes after it in the outbox.

    Args:
        outbox: What there is to send.
        spill: Where it is kept while Holdfast is away.
        url: Where Holdfast's API answers.
        key: The API key.
        most_faults: So often one batch is answered with 500 before it is given up.
    """

    def __init__(
        self, outbox: Outbox, spill: Spill, *, url: str, key: str, most_faults: int = MOST_FAULTS
    ) -> None:
        self._outbox = outbox
        self._spill = spill
        self._url = url
        self._key = key
        self._most_faults = most_faults
        self._parcels: deque[_Parcel] = deque()
        self._sending: _Parcel | None = None
        # With their numbers of reports.
        self._own_records: dict[Record, int] = {}
        self._is_turn_of_kept = False
        self._failures = 0
        self._faults: Counter[str] = Counter()
        self._next_at = 0.0
        self._adopt_at = 0.0
        self._told_dropped = 0
        # Never held during a request: between this thread and the one that closes.
        self._lock = RLock()

    def run(self) -> None:
        """Send until the outbox is closed."""
        with post_office(self._url, self._key, timeout=TIMEOUT) as http:
            self._look_around()
            while self._outbox.wait(
                until=self._next_at,
                patiently=self._failures > 0,
                at_work=bool(self._parcels or len(self._spill)),
                longest=ADOPT_EVERY.total_seconds(),
            ):
                self._look_around()
                if parcel := self._next():
                    self._carry(http, parcel)
        self._drop_rest()

    def keep(self) -> int:
        """Close the outbox and write down what is not answered, for a later process.

        Returns:
            How many reports could not be written down.
        """
        with self._lock:
            self._parcels.extend(self._packed(self._outbox.close()))
            self._spill_over()
            lost = sum(each.batch.reports for each in self._parcels)
            self._drop_rest()
            return lost

    def _next(self) -> _Parcel | None:
        """What to send now: news, and what is kept, in turns while there is both."""
        with self._lock:
            if not self._parcels and not (self._is_turn_of_kept and len(self._spill)):
                self._parcels.extend(self._packed(self._outbox.take(MOST_ENTRIES)))
            self._is_turn_of_kept = bool(self._parcels)
            if self._parcels:
                self._next_at = monotonic() + REST.total_seconds()
                return self._parcels[0]
            while kept := self._spill.oldest():
                record, batch = kept
                if batch:
                    return _Parcel(batch, record, is_own=record in self._own_records)
                self._outbox.settle(self._own_records.pop(record, 0), dropped=True)
                self._spill.strike(record)
            return None

    def _packed(self, entries: Sequence[Entry]) -> list[_Parcel]:
        try:
            return [_Parcel(batch) for batch in batches(entries)]
        except Exception:  # The thread's edge: what a service handed in must not end all sending.
            logger.exception("Reports could not be written for Holdfast")
            self._outbox.settle(sum(entry.count for entry in entries), dropped=True)
            return []

    def _carry(self, http: httpx.Client, parcel: _Parcel) -> None:
        self._sending = parcel
        try:
            self._send(http, parcel)
        except Exception:  # The thread's edge: a fault of ours must not end all sending.
            logger.exception("A batch of reports could not be sent to Holdfast")
            self._done(parcel, dropped=True)
        finally:
            self._sending = None

    def _send(self, http: httpx.Client, parcel: _Parcel) -> None:
        batch = parcel.batch
        headers = {"Idempotency-Key": batch.key}
        try:
            response = http.post("/errors", content=batch.body, headers=headers)
        except httpx.RequestError as error:
            self._fail(f"{type(error).__name__}: {error}")
            return
        if response.status_code in _KEY_REFUSED:
            self._fail(f"it refuses the key: HTTP {response.status_code}")
            return
        if is_later(response) and not self._is_hopeless(batch, response):
            wait = retry_after(response, now=datetime.now(UTC))
            self._fail(f"HTTP {response.status_code}", wait=wait)
            self._spill.postpone(parcel.record)
            return
        self._succeed()
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(batch.entries) > 1:
            self._replace(parcel, batch.halves())
        elif refused := _refused_for_now(response, batch):
            self._replace(parcel, [batch.only(refused)])
            self._fail(f"it could not take {len(refused)} of {len(batch.entries)} reports")
        else:
            self._done(parcel)

    def _fail(self, reason: str, *, wait: timedelta = timedelta()) -> None:
        if not self._failures:
            logger.warning("Holdfast is away, keeping reports until it is back (%s)", reason)
        self._next_at = monotonic() + max(wait, backoff(self._failures)).total_seconds()
        self._failures += 1
        with self._lock:
            self._spill_over()

    def _is_hopeless(self, batch: Batch, response: httpx.Response) -> bool:
        """Whether Holdfast fails at this batch itself, and has had its chances."""
        if response.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        self._faults[batch.key] += 1
        return self._faults[batch.key] >= self._most_faults

    def _succeed(self) -> None:
        if self._failures:
            logger.info("Holdfast is back after %d failed attempts", self._failures)
        self._failures = 0

    def _done(self, parcel: _Parcel, *, dropped: bool = False) -> None:
        self._replace(parcel, [], dropped=dropped)

    def _replace(
        self, parcel: _Parcel, successors: Sequence[Batch], *, dropped: bool = False
    ) -> None:
        """Put batches in a parcel's place; the rest of it was answered, or is dropped."""
        if parcel.is_own:
            left = sum(batch.reports for batch in successors)
            self._outbox.settle(parcel.batch.reports - left, dropped=dropped)
        self._faults.pop(parcel.batch.key, None)
        with self._lock:
            if parcel in self._parcels:
                self._parcels.remove(parcel)
            news = [_Parcel(batch, is_own=parcel.is_own) for batch in successors]
            self._parcels.extendleft(reversed(news))
            if parcel.record:
                self._spill_over()
                self._own_records.pop(parcel.record, None)
                self._spill.strike(parcel.record)

    def _spill_over(self) -> None:
        """Write down what waits, as far as the spill takes it."""
        while True:
            while self._parcels:
                parcel = self._parcels[0]
                parcel.record = self._spill.keep(parcel.batch)
                if parcel.record is None:
                    return
                if parcel.is_own:
                    self._own_records[parcel.record] = parcel.batch.reports
                self._parcels.popleft()
            entries = self._outbox.take(MOST_ENTRIES)
            if not entries:
                return
            self._parcels.extend(self._packed(entries))

    def _drop_rest(self) -> None:
        """Give up what is in memory alone, but for what is being sent at this moment."""
        with self._lock:
            for parcel in [each for each in self._parcels if each is not self._sending]:
                self._done(parcel, dropped=True)

    def _look_around(self) -> None:
        """Say what was lost, and look for what other processes left behind."""
        dropped = self._outbox.dropped
        if dropped > self._told_dropped:
            logger.warning("%d reports were dropped", dropped - self._told_dropped)
            self._told_dropped = dropped
        if monotonic() >= self._adopt_at:
            self._adopt_at = monotonic() + ADOPT_EVERY.total_seconds()
            self._spill.adopt()


def _refused_for_now(response: httpx.Response, batch: Batch) -> list[int]:
    """The places of entries that could not be taken but may be later.

    What Holdfast will never take is told to the service's own log: nobody else will hear of it.
    """
    if not response.is_success:
        told = batch.reports, response.status_code, response.text[:500]
        logger.error("Holdfast rejected %d reports: HTTP %d %s", *told)
        return []
    later = []
    for place, result in enumerate(_results(response)[: len(batch.entries)]):
        problem = result.get("problem") or {}
        if result.get("accepted", True):
            continue
        if _status(problem) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            later.append(place)
        else:
            logger.error("Holdfast rejected a report: %s", problem)
    return later


def _status(problem: object) -> int:
    status = problem.get("status") if isinstance(problem, dict) else None
    return status if isinstance(status, int) else 0


def _results(response: httpx.Response) -> list[dict[str, Any]]:
    try:
        return [dict(result) for result in response.json()["results"]]
    except (ValueError, TypeError, KeyError):
        logger.warning("Holdfast's answer is not the expected JSON: %s", response.text[:500])
        return []

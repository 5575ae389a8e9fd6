"""Owns the taking of outcomes: what many reporters tell is folded and written a few times a second.

Outcomes are worth something while they are new. While PostgreSQL is away they wait a few seconds,
and then they are dropped, and counted as such; nobody who tells them has to wait for it.

Who writes them deletes them when they are old: the worker that reads them may be away for long.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

import structlog

from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.outcome import REPORTS, OutcomeBatch, Outcomes
from holdfast.domain.policy import Policy
from holdfast.domain.report import CountedReport
from holdfast.errors import Unavailable
from storage.outcomes import OutcomeLedger, ToldOutcomes

log = structlog.get_logger(__name__)

# From one write to the next; what arrives meanwhile shares one.
_BETWEEN: Final = timedelta(milliseconds=50)
# After PostgreSQL failed, it is asked again so much later.
AVOIDANCE: Final = timedelta(milliseconds=500)
KEPT: Final = timedelta(seconds=5)
_FORGET_EVERY: Final = timedelta(seconds=10)
# What is a little older than the longest window may still be read by a look that is under way.
_SPARE: Final = timedelta(seconds=10)
# More sums than 1000 processes tell of ten services each within the time for which they are kept.
MOST: Final = 50_000

# Service, reporter, epoch.
_Key = tuple[str, str, int | None]


@dataclass
class _Sheet:
    """What came between two writes, and when the oldest of it did."""

    sums: dict[_Key, Outcomes] = field(default_factory=dict)
    since: float = field(default_factory=monotonic)

    def add(self, key: _Key, outcomes: Outcomes) -> None:
        known = self.sums.get(key)
        self.sums[key] = known + outcomes if known else outcomes

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.sums.values())


class OutcomeBook:
    """Takes what reporters tell of guarded calls.

    Args:
        ledger: Where it is written.
        policy: Gives the active policy.
        kept: How long what can't be written is kept.
        avoidance: How long PostgreSQL is let alone after it failed.
        most: How many sums are kept at the most.
    """

    def __init__(
        self,
        ledger: OutcomeLedger,
        *,
        policy: Callable[[], Policy],
        kept: timedelta = KEPT,
        avoidance: timedelta = AVOIDANCE,
        most: int = MOST,
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._kept = kept
        self._avoidance = avoidance
        self._most = most
        self._sheet: _Sheet | None = None
        self._unwritten: list[_Sheet] = []
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_losing = False
        self.dropped = 0

    async def start(self) -> None:
        """Begin to write, and to delete what is old."""
        self._tasks = [
            asyncio.create_task(self._keep_writing(), name="outcome book"),
            asyncio.create_task(self._keep_forgetting(), name="old outcomes"),
        ]

    async def stop(self) -> None:
        """Write what is left, and stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._write()

    def take(self, batch: OutcomeBatch) -> None:
        """Take what a process tells of its guarded calls."""
        for each in batch.outcomes:
            self._add((each.service, batch.reporter, each.epoch), each)

    def take_reports(self, reports: Iterable[CountedReport]) -> None:
        """Take reports for as many failed calls of their services as their rules say."""
        policy, now = self._policy(), datetime.now(UTC)
        rules: dict[str, BreakerRules] = {}
        failed: Counter[str] = Counter()
        for report in reports:
            service = report.service
            if service not in rules:
                rules[service] = policy.breaker_rules(service)
            failed[service] += _failed_calls(report, rules[service], now=now)
        for service, count in failed.items():
            # Many together may pass what a single telling is held to.
            outcomes = Outcomes.model_construct(calls=count, failures=count, slow=0)
            self._add((service, REPORTS, None), outcomes)

    def _add(self, key: _Key, outcomes: Outcomes) -> None:
        if not outcomes.calls:
            return
        sheet = self._sheet = self._sheet or _Sheet()
        if key not in sheet.sums and self._size >= self._most:
            self._drop(outcomes.calls, why="too much waits")
            return
        sheet.add(key, outcomes)
        self._arrived.set()

    @property
    def _size(self) -> int:
        sheets = [*self._unwritten, self._sheet]
        return sum(len(each.sums) for each in sheets if each)

    async def _keep_writing(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            written = await self._write()
            await asyncio.sleep((_BETWEEN if written else self._avoidance).total_seconds())

    async def _write(self) -> bool:
        """Write all that came; whether that went well.

        What no answer came to is written again, and so may count twice: the rates stay the same.
        What a cancellation meets here is lost, as the process ends.
        """
        sheets, self._unwritten = self._unwritten, []
        if self._sheet:
            sheets.append(self._sheet)
            self._sheet = None
        if not sheets:
            return True
        try:
            await self._ledger.add(_together(sheets))
        except Unavailable as error:
            for each in sheets:
                if monotonic() - each.since > self._kept.total_seconds():
                    self._drop(each.calls, why=str(error))
                else:
                    self._unwritten.append(each)
            self._arrived.set()
            return False
        except Exception as error:  # noqa: BLE001  # the task's edge: the next may be taken
            self._drop(sum(each.calls for each in sheets), why=repr(error))
            return False
        self._is_losing = False
        return True

    async def _keep_forgetting(self) -> None:
        while True:
            try:
                age = self._policy().longest_window + _SPARE
                while await self._ledger.forget(age=age):
                    pass
            except Exception as error:  # noqa: BLE001  # the task's edge: the next may go well
                log.info("old outcomes stay for now", why=repr(error))
            await asyncio.sleep(_FORGET_EVERY.total_seconds())

    def _drop(self, calls: int, *, why: str) -> None:
        self.dropped += calls
        if not self._is_losing:
            self._is_losing = True
            log.warning("outcomes of guarded calls are dropped", why=why)


def _failed_calls(report: CountedReport, rules: BreakerRules, *, now: datetime) -> int:
    """How many failed calls a report stands for; errors of long ago say nothing about now."""
    if report.occurred_at and now - report.occurred_at > rules.window:
        return 0
    if not rules.reports_count or not rules.counts((report.error_type, *report.error_bases)):
        return 0
    # Of many that began long ago, only the last is known to have been lately.
    began = report.first_occurred_at
    return 1 if began and now - began > rules.window else report.count


def _together(sheets: list[_Sheet]) -> list[ToldOutcomes]:
    whole = _Sheet()
    for sheet in sheets:
        for key, outcomes in sheet.sums.items():
            whole.add(key, outcomes)
    return [ToldOutcomes(*key, outcomes) for key, outcomes in whole.sums.items()]

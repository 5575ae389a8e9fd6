"""Owns the taking of reports: what was answered with 202 is in a store that survives any crash.

Requests that arrive while a commit is under way share the next one (group commit), and reports of
one fingerprint share a row. With PostgreSQL down, reports go straight to Temporal.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import structlog

from api.dispatch import LEASE, Dispatcher
from api.report_group import ReportGroup
from holdfast.domain.report import Report, ReportBatch, fingerprint
from holdfast.errors import Unavailable
from storage.intake import Intake, IntakeRow, RequestsRepeated
from workflows.messages import ReportAnswer

log = structlog.get_logger(__name__)

# An incident opens in some 50 ms.
_COURTESY = timedelta(milliseconds=250)

# After PostgreSQL failed, reports go straight to Temporal for so long before it is asked again.
_AVOIDANCE = timedelta(seconds=1)

_RECEIPTS_EVERY = 1.0
_RECEIPTS_AT_ONCE = 5000
# Of a long outage the latest: who sent the others has given up or been answered long ago.
_MOST_UNWRITTEN = 200_000
_SWEEP_EVERY = timedelta(minutes=10)
_REMEMBERED = 10_000


@dataclass(frozen=True)
class Taken:
    """What became of a report.

    Attributes:
        answer: What it met; None while no incident has answered yet.
        refusal: Why it could not be kept; None when it is safe.
        repeated: Whether its request was taken before, so that it did not count again.
    """

    fingerprint: str
    answer: ReportAnswer | None = None
    refusal: Unavailable | None = None
    repeated: bool = False


class _Receipts:
    """Of requests that Temporal took alone: remembered here, and in time by PostgreSQL."""

    def __init__(self) -> None:
        self._unwritten: OrderedDict[str, None] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, receipt: str) -> bool:
        return receipt in self._known or receipt in self._unwritten

    def add(self, receipt: str) -> None:
        for receipts, most in ((self._unwritten, _MOST_UNWRITTEN), (self._known, _REMEMBERED)):
            receipts[receipt] = None
            if len(receipts) > most:
                receipts.popitem(last=False)

    def unwritten(self) -> Sequence[str]:
        """The oldest of those that PostgreSQL does not have yet."""
        return list(islice(self._unwritten, _RECEIPTS_AT_ONCE))

    def written(self, receipts: Sequence[str]) -> None:
        """PostgreSQL has these."""
        for receipt in receipts:
            self._unwritten.pop(receipt, None)


class Reception:
    """Takes reports and sees to it that they reach their incidents.

    Attributes:
        courtesy: How long an answer waits for the incident's id.
    """

    def __init__(
        self, *, intake: Intake, dispatcher: Dispatcher, courtesy: timedelta = _COURTESY
    ) -> None:
        self.courtesy = courtesy
        self._intake = intake
        self._dispatcher = dispatcher
        self._group: ReportGroup | None = None
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._told_directly = _Receipts()
        self._avoid_until = datetime.min.replace(tzinfo=UTC)

    async def start(self) -> None:
        """Begin to take reports."""
        self._tasks = [
            asyncio.create_task(self._commit_groups()),
            asyncio.create_task(self._keep_receipts()),
        ]
        await self._dispatcher.start()

    async def stop(self) -> None:
        """Stop taking reports."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._dispatcher.stop()

    async def take(self, reports: Sequence[Report], *, receipt: str | None = None) -> list[Taken]:
        """Take reports; returns once each is safe or refused, with what it met if known soon.

        Args:
            reports: Of one request; a :class:`CountedReport` counts for as many as it says.
            receipt: Names the request, if it may come a second time; then it does not count again.
        """
        now = datetime.now(UTC)
        self._group = group = self._group or ReportGroup()
        is_repeated = receipt is not None and receipt in group.requests
        workflow_ids = group.add(reports, receipt=receipt, now=now)
        # In a storm the answer to the batch before is news enough.
        waits = {each for each in workflow_ids if not self._has_news(each)}
        self._arrived.set()
        await asyncio.shield(group.done)
        settled = [self._dispatcher.settled(each, within=self.courtesy) for each in waits]
        await asyncio.gather(*settled)
        return [
            Taken(
                fingerprint=fingerprint(report),
                answer=self._dispatcher.known(workflow_id),
                refusal=group.refused.get(workflow_id),
                repeated=is_repeated or receipt in group.repeated,
            )
            for report, workflow_id in zip(reports, workflow_ids, strict=True)
        ]

    def _has_news(self, workflow_id: str) -> bool:
        return self._dispatcher.is_busy(workflow_id) and bool(self._dispatcher.known(workflow_id))

    async def _commit_groups(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            group, self._group = self._group, None
            if group:
                await self._commit(group)

    async def _commit(self, group: ReportGroup) -> None:
        try:
            group.leave_out([each for each in group.receipts() if each in self._told_directly])
            if datetime.now(UTC) < self._avoid_until:
                await self._send_straight(group, group.named_rows())
            else:
                await self._store(group)
        except asyncio.CancelledError:
            group.done.set_exception(Unavailable("this process is about to end"))
            raise
        except Exception as error:
            # The task's edge: those who wait raise it, and the next group may well be taken.
            log.exception("reports could not be taken")
            group.done.set_exception(error)
        else:
            group.done.set_result(None)

    async def _store(self, group: ReportGroup) -> None:
        """Write a group's rows; those whose fingerprint has no batch on its way leave at once."""
        rows = self._routed(group)
        try:
            while True:
                try:
                    await self._intake.add(rows, receipts=group.receipts(), lease=LEASE)
                    break
                except RequestsRepeated:
                    group.leave_out(await self._intake.repeated(group.receipts()))
                    rows = self._routed(group)
        except Unavailable as error:
            log.warning("PostgreSQL is away: reports go straight to Temporal", why=str(error))
            self._avoid_until = datetime.now(UTC) + _AVOIDANCE
            await self._send_straight(group, rows)
            return
        for row in rows:
            if row.batch_id:
                self._dispatcher.send(_batch(row))
            else:
                self._dispatcher.follow(row.workflow_id)

    def _routed(self, group: ReportGroup) -> list[IntakeRow]:
        return [
            row
            if self._dispatcher.is_busy(row.workflow_id)
            else row.model_copy(update={"batch_id": row.id})
            for row in group.rows()
        ]

    async def _send_straight(self, group: ReportGroup, rows: Sequence[IntakeRow]) -> None:
        """Have Temporal keep what PostgreSQL can't."""

        async def send(row: IntakeRow) -> None:
            try:
                await self._dispatcher.tell_directly(_batch(row))
            except Unavailable as error:
                group.refused[row.workflow_id] = error

        await asyncio.gather(*[send(row) for row in rows])
        for receipt in group.receipts():
            if not group.refused.keys() & group.requests[receipt].keys():
                self._told_directly.add(receipt)

    async def _keep_receipts(self) -> None:
        """Hand in the receipts that PostgreSQL could not take, and let go of old ones."""
        sweep_at = datetime.min.replace(tzinfo=UTC)
        while True:
            await asyncio.sleep(_RECEIPTS_EVERY)
            try:
                while told := self._told_directly.unwritten():
                    await self._intake.remember(told)
                    self._told_directly.written(told)
                if datetime.now(UTC) >= sweep_at:
                    while await self._intake.forget_receipts():
                        pass
                    sweep_at = datetime.now(UTC) + _SWEEP_EVERY
            except Exception as error:  # noqa: BLE001  # the task's edge: the next may go well
                log.info("receipts wait", why=repr(error))


def _batch(row: IntakeRow) -> ReportBatch:
    return ReportBatch(
        id=row.id,
        fingerprint=row.fingerprint,
        sample=row.sample,
        count=row.count,
        first_at=row.first_at,
        last_at=row.last_at,
    )

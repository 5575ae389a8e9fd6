"""Owns the taking of reports: what was answered with 202 is in a store that survives any crash.

Requests that arrive while a commit is under way share the next one (group commit), and reports of
one fingerprint share a row. With PostgreSQL down, reports go straight to Temporal.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from uuid_utils.compat import uuid7

from api.dispatch import LEASE, Dispatcher
from holdfast.domain.report import Report, ReportBatch, fingerprint, incident_workflow_id
from holdfast.errors import Unavailable
from storage.intake import Intake, IntakeRow
from workflows.messages import ReportAnswer

log = structlog.get_logger(__name__)

# How long an answer waits for the incident's id: an incident opens in some 50 ms.
_COURTESY = timedelta(milliseconds=250)

# After PostgreSQL failed, reports go straight to Temporal for so long before it is asked again.
_AVOIDANCE = timedelta(seconds=1)


@dataclass(frozen=True)
class Taken:
    """What became of a report.

    Attributes:
        answer: What it met; None while no incident has answered yet.
        refusal: Why it could not be kept; None when it is safe.
    """

    fingerprint: str
    answer: ReportAnswer | None = None
    refusal: Unavailable | None = None


@dataclass
class _Group:
    """What shares one commit: a row for each fingerprint, and those that no store would take."""

    rows: dict[str, IntakeRow] = field(default_factory=dict)
    refused: dict[str, Unavailable] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, report: Report, *, now: datetime) -> str:
        """Fold a report into its fingerprint's row; gives the workflow's id."""
        key = fingerprint(report)
        happened = min(report.occurred_at or now, now)
        row = IntakeRow(
            id=str(uuid7()),
            workflow_id=incident_workflow_id(report.service, key),
            service=report.service,
            fingerprint=key,
            sample=report,
            count=1,
            first_at=happened,
            last_at=happened,
        )
        if known := self.rows.get(row.workflow_id):
            row = row.model_copy(
                update={
                    "id": known.id,
                    "count": known.count + 1,
                    "first_at": min(known.first_at, happened),
                    "last_at": max(known.last_at, happened),
                }
            )
        self.rows[row.workflow_id] = row
        return row.workflow_id


class Reception:
    """Takes reports and sees to it that they reach their incidents."""

    def __init__(self, *, intake: Intake, dispatcher: Dispatcher) -> None:
        self._intake = intake
        self._dispatcher = dispatcher
        self._group: _Group | None = None
        self._arrived = asyncio.Event()
        self._committer: asyncio.Task[None] | None = None
        self._avoid_until = datetime.min.replace(tzinfo=UTC)

    async def start(self) -> None:
        """Begin to take reports."""
        self._committer = asyncio.create_task(self._commit_groups())
        await self._dispatcher.start()

    async def stop(self) -> None:
        """Stop taking reports."""
        if self._committer:
            self._committer.cancel()
            await asyncio.gather(self._committer, return_exceptions=True)
        await self._dispatcher.stop()

    async def take(self, reports: Sequence[Report]) -> list[Taken]:
        """Take reports; returns once each is safe or refused, with what it met if known soon."""
        now = datetime.now(UTC)
        self._group = group = self._group or _Group()
        workflow_ids = [group.add(report, now=now) for report in reports]
        # In a storm the answer to the batch before is news enough.
        waits = {each for each in workflow_ids if not self._has_news(each)}
        self._arrived.set()
        await group.done.wait()
        await asyncio.gather(*[self._dispatcher.settled(each, within=_COURTESY) for each in waits])
        return [
            Taken(
                fingerprint=fingerprint(report),
                answer=self._dispatcher.known(workflow_id),
                refusal=group.refused.get(workflow_id),
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

    async def _commit(self, group: _Group) -> None:
        try:
            if datetime.now(UTC) < self._avoid_until:
                await self._send_straight(group)
            else:
                await self._store(group)
        finally:
            group.done.set()

    async def _store(self, group: _Group) -> None:
        """Write a group's rows; those whose fingerprint has no batch on its way leave at once."""
        rows = [
            row
            if self._dispatcher.is_busy(row.workflow_id)
            else row.model_copy(update={"batch_id": row.id})
            for row in group.rows.values()
        ]
        try:
            await self._intake.add(rows, lease=LEASE)
        except Unavailable as error:
            log.warning("PostgreSQL is away: reports go straight to Temporal", why=str(error))
            self._avoid_until = datetime.now(UTC) + _AVOIDANCE
            await self._send_straight(group)
            return
        for row in rows:
            if row.batch_id:
                self._dispatcher.send(_batch(row))
            else:
                self._dispatcher.follow(row.workflow_id)

    async def _send_straight(self, group: _Group) -> None:
        """Have Temporal keep what PostgreSQL can't."""

        async def send(workflow_id: str, batch: ReportBatch) -> None:
            try:
                await self._dispatcher.tell_directly(batch)
            except Unavailable as error:
                group.refused[workflow_id] = error

        await asyncio.gather(*[send(key, _batch(row)) for key, row in group.rows.items()])


def _batch(row: IntakeRow) -> ReportBatch:
    return ReportBatch(
        id=row.id,
        fingerprint=row.fingerprint,
        sample=row.sample,
        count=row.count,
        first_at=row.first_at,
        last_at=row.last_at,
    )

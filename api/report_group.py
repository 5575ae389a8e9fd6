"""Owns what shares one commit: the reports of requests that came together, by request and error."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

from holdfast.domain.report import CountedReport, Report, fingerprint, incident_workflow_id
from holdfast.errors import Unavailable
from storage.intake import IntakeRow

Rows: TypeAlias = dict[str, IntakeRow]


def _awaited() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


@dataclass
class ReportGroup:
    """What shares one commit.

    Attributes:
        requests: The rows of each request that has a receipt, by fingerprint; under None those of
            all others. They are kept apart because one that was taken before is left out.
        refused: Those that no store would take.
        repeated: The receipts of what was left out.
        done: Holds once it is known what became of each; raises for what nobody foresaw.
    """

    requests: dict[str | None, Rows] = field(default_factory=dict)
    refused: dict[str, Unavailable] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    done: asyncio.Future[None] = field(default_factory=_awaited)

    def add(self, reports: Sequence[Report], *, receipt: str | None, now: datetime) -> list[str]:
        """Take a request; gives the workflows' ids."""
        rows = [_row(report, now=now) for report in reports]
        if receipt is None or receipt not in self.requests:
            known = self.requests.setdefault(receipt, {})
            for row in rows:
                _fold(known, row)
        return [row.workflow_id for row in rows]

    def rows(self) -> list[IntakeRow]:
        """A row for each fingerprint."""
        rows: Rows = {}
        for request in self.requests.values():
            for row in request.values():
                _fold(rows, row)
        return list(rows.values())

    def named_rows(self) -> list[IntakeRow]:
        """The same; one that is of one request alone is named after it.

        So its incident knows a repeat by itself, when there is no PostgreSQL to know it.
        """
        return [self._named(row) for row in self.rows()]

    def _named(self, row: IntakeRow) -> IntakeRow:
        holders = [receipt for receipt, rows in self.requests.items() if row.workflow_id in rows]
        if len(holders) != 1 or holders[0] is None:
            return row
        return row.model_copy(update={"id": str(uuid5(UUID(holders[0]), row.workflow_id))})

    def receipts(self) -> list[str]:
        """Those of the requests that have one."""
        return [receipt for receipt in self.requests if receipt]

    def leave_out(self, receipts: Iterable[str]) -> None:
        """Take requests out that were taken before."""
        for receipt in receipts:
            del self.requests[receipt]
            self.repeated.add(receipt)


def _row(report: Report, *, now: datetime) -> IntakeRow:
    key = fingerprint(report)
    last_at = min(report.occurred_at or now, now)
    count, sample, first_at = 1, report, last_at
    if isinstance(report, CountedReport):
        count, sample = report.count, report.sample
        first_at = min(report.first_occurred_at or last_at, last_at)
    return IntakeRow(
        id=str(uuid7()),
        workflow_id=incident_workflow_id(report.service, key),
        service=report.service,
        fingerprint=key,
        sample=sample,
        count=count,
        first_at=first_at,
        last_at=last_at,
    )


def _fold(rows: Rows, row: IntakeRow) -> None:
    """Add a row to that of its fingerprint."""
    known = rows.get(row.workflow_id)
    if known:
        row = row.model_copy(
            update={
                "id": known.id,
                "count": known.count + row.count,
                "first_at": min(known.first_at, row.first_at),
                "last_at": max(known.last_at, row.last_at),
            }
        )
    rows[row.workflow_id] = row

"""Owns the audit log: facts are appended and read, never changed or removed.

A trigger in the database refuses UPDATE, DELETE and TRUNCATE, because the log is what everything
else is rebuilt from and what people are held to: a slip in a later query, or a person with a
console, must not be able to rewrite it unnoticed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Select, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.model import Model
from holdfast.domain.record import Subject
from holdfast.domain.severity import Severity
from holdfast.errors import InvalidInput
from storage.database import statement, transaction
from storage.page import Page, read_cursor
from storage.snapshots import Kind
from storage.tables import audit

_FIELDS = (audit.c.id, *(audit.c[name] for name in AuditEntry.model_fields))
_LARGEST_ID = 2**63 - 1
_APPEND = insert(audit).on_conflict_do_nothing(
    index_elements=[audit.c.workflow_id, audit.c.run_id, audit.c.sequence]
)


class AuditFilter(Model):
    """Which facts; a field that is None asks nothing.

    Attributes:
        since: The first moment that counts.
        until: The first moment that no longer counts.
    """

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    service: str | None = None
    incident_id: str | None = None
    actor: str | None = None
    event: AuditEvent | None = None
    severity: Severity | None = None


class StoredEntry(AuditEntry):
    """A fact as the log holds it.

    Attributes:
        id: Grows in the order of writing, which is not quite the order of happening.
    """

    id: int


class Audit:
    """The audit log."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def append(self, entry: AuditEntry) -> None:
        """Write a fact that no workflow tells; one whose key is known already is passed over."""
        async with transaction(self._engine) as connection:
            await append_entries(connection, [entry])

    async def entries(
        self,
        filter: AuditFilter,  # noqa: A002  # the API's word; nothing here filters otherwise
        *,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[StoredEntry]:
        """A page of facts, ordered by time.

        Raises:
            InvalidInput: If the cursor is not one that a page gave.
        """
        query = _matching(filter).limit(limit + 1)
        order = (audit.c.at, audit.c.id)
        query = query.order_by(*((each.desc() for each in order) if newest_first else order))
        if cursor is not None:
            place = tuple_(*_place(cursor))
            here = tuple_(*order)
            query = query.where(here < place if newest_first else here > place)
        async with statement(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        found = [StoredEntry.model_validate(dict(row)) for row in rows]
        return Page[StoredEntry].cut(
            found, limit=limit, place=lambda entry: (entry.at, str(entry.id))
        )


async def append_entries(
    connection: AsyncConnection,
    entries: Sequence[AuditEntry],
    *,
    subjects: Mapping[Kind, Subject] | None = None,
) -> None:
    """Append facts within a unit of work.

    Args:
        connection: The unit of work.
        entries: The facts in their order.
        subjects: The states after the last of them, kept beside it for a rebuild.
    """
    rows = [_row(entry) for entry in entries]
    if subjects:
        rows[-1]["subjects"] = {
            kind.value: subject.model_dump(mode="json") for kind, subject in subjects.items()
        }
    await connection.execute(_APPEND, rows)


def _row(entry: AuditEntry) -> dict[str, Any]:
    # PostgreSQL's text cannot hold NUL, and a summary may quote what a failing service answered.
    summary = entry.summary.replace("\0", "\ufffd")
    return entry.model_dump() | {"summary": summary, "subjects": None}


def _matching(wanted: AuditFilter) -> Select[Any]:
    query = select(*_FIELDS)
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit.c.at < wanted.until)
    for name in ("service", "incident_id", "actor", "event", "severity"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(audit.c[name] == value)
    return query


def _place(cursor: str) -> tuple[Any, int]:
    at, key = read_cursor(cursor)
    if not key.isdecimal() or int(key) > _LARGEST_ID:
        raise InvalidInput("this cursor belongs to another list", field="cursor")
    return at, int(key)

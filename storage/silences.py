"""Owns the silences: made and ended together with the fact in the audit log, or not at all.

In the same unit of work all processes are told, so that none holds a page by what is out of date.
"""

from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, RowMapping, Select, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.silence import Silence
from holdfast.errors import Conflict, NotFound
from storage.audit import append_entries
from storage.database import statement, transaction
from storage.page import Page, read_cursor
from storage.presence import SILENCES_CHANGED
from storage.tables import silences

_TELL = text("SELECT pg_notify(:channel, :payload)")


class Silences:
    """The silences, planned, present and past."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, silence: Silence) -> None:
        """Keep a new silence; whoever wanted it is the actor on the record.

        Raises:
            Unavailable: If PostgreSQL is away; nothing is kept then.
        """
        by = silence.created_by
        async with transaction(self._engine) as connection:
            await connection.execute(insert(silences).values(silence.model_dump()))
            entry = _entry(silence, AuditEvent.SILENCE_CREATED, by=by, at=silence.created_at)
            await _tell(connection, entry, silence)

    async def end(self, silence_id: str, *, by: str, at: datetime) -> Silence:
        """End a silence before its time.

        Raises:
            NotFound: If there is no such silence.
            Conflict: If it is over; the message says since when.
            Unavailable: If PostgreSQL is away; nothing has changed then.
        """
        of_id = silences.c.id == silence_id
        async with transaction(self._engine) as connection:
            found = await connection.execute(select(silences).where(of_id).with_for_update())
            silence = _silence(found.mappings().one_or_none(), silence_id)
            _refuse_when_over(silence, at)
            ended = silence.model_copy(update={"ended_at": at, "ended_by": by})
            await connection.execute(update(silences).where(of_id).values(ended_at=at, ended_by=by))
            entry = _entry(ended, AuditEvent.SILENCE_ENDED, by=by, at=at)
            await _tell(connection, entry, ended)
        return ended

    async def get(self, silence_id: str) -> Silence:
        """A silence.

        Raises:
            NotFound: If there is none of that id.
            Unavailable: If PostgreSQL is away.
        """
        async with statement(self._engine) as connection:
            found = await connection.execute(select(silences).where(silences.c.id == silence_id))
            return _silence(found.mappings().one_or_none(), silence_id)

    async def list(
        self,
        *,
        now: datetime,
        over: bool | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> Page[Silence]:
        """The silences, newest first.

        Args:
            now: The present moment.
            over: Only those that are over, or only those that are not.
            limit: The page's size.
            before: The cursor of the page before.

        Raises:
            InvalidInput: If the cursor is not one that a page gave.
            Unavailable: If PostgreSQL is away.
        """
        place = (silences.c.created_at, silences.c.id)
        query = select(silences).order_by(*(each.desc() for each in place)).limit(limit + 1)
        if over is not None:
            query = query.where(_is_over(now) if over else ~_is_over(now))
        if before is not None:
            query = query.where(tuple_(*place) < tuple_(*read_cursor(before)))
        return Page[Silence].cut(
            await self._found(query), limit=limit, place=lambda each: (each.created_at, each.id)
        )

    async def standing(self, now: datetime) -> tuple[Silence, ...]:
        """All that hold pages now or may yet, newest first.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        query = select(silences).where(~_is_over(now))
        return await self._found(query.order_by(silences.c.created_at.desc()))

    async def _found(self, query: Select[Any]) -> tuple[Silence, ...]:
        async with statement(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(Silence.model_validate(dict(row)) for row in rows)


def _is_over(now: datetime) -> ColumnElement[bool]:
    # Never NULL, so that its opposite finds the others.
    never_over = silences.c.over_at.is_(None)
    return or_(silences.c.ended_at.is_not(None), ~or_(never_over, silences.c.over_at > now))


def _silence(row: RowMapping | None, silence_id: str) -> Silence:
    if row is None:
        raise NotFound(f"there is no silence {silence_id}")
    return Silence.model_validate(dict(row))


def _refuse_when_over(silence: Silence, at: datetime) -> None:
    if silence.ended_at:
        when = silence.ended_at.isoformat(timespec="seconds")
        raise Conflict(f"{silence.ended_by} ended it at {when}")
    if silence.over_at and silence.is_over(at):
        when = silence.over_at.isoformat(timespec="seconds")
        raise Conflict(f"it has been over since {when}")


async def _tell(connection: AsyncConnection, entry: AuditEntry, silence: Silence) -> None:
    await append_entries(connection, [entry])
    await connection.execute(_TELL, {"channel": SILENCES_CHANGED, "payload": silence.id})


def _entry(silence: Silence, event: AuditEvent, *, by: str, at: datetime) -> AuditEntry:
    made = event is AuditEvent.SILENCE_CREATED
    match = silence.match
    single = match.service[0] if len(match.service) == 1 and "*" not in match.service[0] else None
    return AuditEntry(
        workflow_id="silences",
        run_id=str(uuid4()),
        sequence=1,
        at=at,
        event=event,
        service=single,
        actor=by,
        summary=f"{by} {'silenced' if made else 'ended the silence of'} {match}: {silence.reason}",
        detail={"silence": silence.model_dump(mode="json")},
    )

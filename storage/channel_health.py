"""Owns the health of channels and calendars: whether each works, since when, and why if not."""

from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from pydantic import AwareDatetime
from sqlalchemy import case, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.model import Model
from holdfast.domain.notification import FailureKind
from storage.audit import append_entries
from storage.database import lock, statement, transaction
from storage.tables import channel_health


class Failure(NamedTuple):
    """Why something does not work.

    Attributes:
        kind: None where that could not be found out: it may work by the next time.
        reason: For people, without secrets.
    """

    kind: FailureKind | None
    reason: str


class Health(Model):
    """What the last check of a channel or calendar found.

    Attributes:
        key: Where it stands in the policy file: ``channels.slack``, ``schedules.primary``.
        kind: See ``Failure``.
        since: Since when it works, or does not.
    """

    key: str
    ok: bool
    kind: FailureKind | None = None
    reason: str | None = None
    since: AwareDatetime
    checked_at: AwareDatetime


class ChannelHealth:
    """The health of all channels and calendars that were ever checked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def note(self, key: str, *, failure: Failure | None, at: datetime) -> bool:
        """Write down what a check found, and in the audit log if that is another state than before.

        Args:
            key: Where the channel or schedule stands in the policy file.
            failure: Why it does not work; None if it does.
            at: When that was found.

        Returns:
            Whether it failed now and did not before, or the other way round.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        found = _found(key, failure, at)
        async with transaction(self._engine) as connection:
            # Of several workers that find the same at once, one tells of it.
            await lock(connection, f"health of {key}")
            known = select(channel_health.c.ok).where(channel_health.c.key == key)
            before = await connection.scalar(known)
            write = insert(channel_health).values(found.model_dump())
            same = channel_health.c.ok == write.excluded.ok
            kept = case((same, channel_health.c.since), else_=write.excluded.since)
            write = write.on_conflict_do_update(
                index_elements=[channel_health.c.key],
                set_={**found.model_dump(exclude={"key"}), "since": kept},
            )
            await connection.execute(write)
            # What works at its first check is nothing to tell of.
            changed = found.ok is not (True if before is None else before)
            if changed:
                await append_entries(connection, [_entry(found)])
        return changed

    async def all(self) -> list[Health]:
        """What the last checks found, by key."""
        query = select(channel_health).order_by(channel_health.c.key)
        async with statement(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [Health.model_validate(dict(row)) for row in rows]


def _found(key: str, failure: Failure | None, at: datetime) -> Health:
    if failure is None:
        return Health(key=key, ok=True, since=at, checked_at=at)
    # PostgreSQL's text cannot hold NUL, and a reason may quote what a vendor answered.
    reason = failure.reason.replace("\0", "\ufffd")
    return Health(key=key, ok=False, kind=failure.kind, reason=reason, since=at, checked_at=at)


def _entry(found: Health) -> AuditEntry:
    told = f"{found.key} works again" if found.ok else f"{found.key} does not work: {found.reason}"
    return AuditEntry(
        workflow_id=found.key,
        run_id=str(uuid4()),
        sequence=1,
        at=found.checked_at,
        event=AuditEvent.CHANNEL_RECOVERED if found.ok else AuditEvent.CHANNEL_FAILED,
        summary=told,
        detail={"key": found.key, "kind": found.kind, "reason": found.reason},
    )

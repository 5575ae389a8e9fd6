"""Owns the read models' rows: how a subject's state becomes one, and that only newer ones win.

A state by which clients go, a breaker's or a degradation's, is numbered as well: its revision is
greater than that of every such state that anybody could read before. All processes are told.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, assert_never

from sqlalchemy import Table, func, select, tuple_
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.incident import Incident
from holdfast.domain.record import Record, Subject
from holdfast.domain.recovery import RecoveryState
from storage.database import lock
from storage.tables import entities, guidance_revision, incidents

# What is told here: ``breaker:{service}`` or ``degradation:{service}`` has another state. The empty
# message says that all of them may have.
GUIDANCE_CHANGED: Final = "holdfast_guidance"


class Kind(StrEnum):
    """What a snapshot is of: the name of the record's field that carries it."""

    INCIDENT = "incident"
    BREAKER = "breaker"
    DEGRADATION = "degradation"
    RECOVERY = "recovery"


MODELS: Mapping[Kind, type[Subject]] = {
    Kind.INCIDENT: Incident,
    Kind.BREAKER: CircuitBreaker,
    Kind.DEGRADATION: Degradation,
    Kind.RECOVERY: RecoveryState,
}


def subjects_of(record: Record) -> dict[Kind, Subject]:
    """The states that a record carries; nearly always one."""
    found = {kind: getattr(record, kind.value) for kind in Kind}
    return {kind: subject for kind, subject in found.items() if subject is not None}


async def keep(
    connection: AsyncConnection,
    subjects: Iterable[tuple[Kind, Subject]],
    *,
    at: datetime,
    sequence: int,
) -> None:
    """Put states into the read models, each unless a newer one is there.

    Args:
        connection: The unit of work.
        subjects: The states and their kinds.
        at: When the last fact behind them happened.
        sequence: That fact's place in its workflow, which orders facts of the same moment.
    """
    for kind, subject in subjects:
        place = {"recorded_at": at, "sequence": sequence}
        match subject:
            case Incident():
                await connection.execute(_KEEP_INCIDENT, _incident_row(subject) | place)
            case CircuitBreaker() | Degradation():
                await _keep_guidance(connection, _entity_row(kind, subject) | place)
            case RecoveryState():
                await connection.execute(_KEEP_ENTITY, _entity_row(kind, subject) | place)
            case _:
                assert_never(subject)


async def lock_guidance(connection: AsyncConnection) -> None:
    """Let one transaction at a time number changes: so none becomes visible after a later one."""
    await lock(connection, "guidance")


async def tell_guidance(connection: AsyncConnection, changed: str) -> None:
    """Tell all processes of a change, once it is committed."""
    await connection.execute(select(func.pg_notify(GUIDANCE_CHANGED, changed)))


async def _keep_guidance(connection: AsyncConnection, row: dict[str, Any]) -> None:
    await lock_guidance(connection)
    if (await connection.execute(_KEEP_GUIDANCE, row)).first():
        await tell_guidance(connection, f"{row['kind']}:{row['service']}")


def _incident_row(incident: Incident) -> dict[str, Any]:
    escalation = incident.escalation
    names = (column.name for column in incidents.columns)
    own = {name: getattr(incident, name) for name in names if hasattr(incident, name)}
    return own | {
        "escalating": bool(
            escalation.level > 0 or escalation.held_until or escalation.next_level_at
        ),
        "snapshot": incident.model_dump(mode="json"),
    }


def _entity_row(kind: Kind, subject: Subject) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "service": subject.service,
        "snapshot": subject.model_dump(mode="json"),
    }


def _keep(table: Table, **computed: Any) -> Insert:
    write = insert(table).values(computed) if computed else insert(table)
    return write.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={
            column.name: write.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        },
        where=tuple_(table.c.recorded_at, table.c.sequence)
        < tuple_(write.excluded.recorded_at, write.excluded.sequence),
    )


_KEEP_INCIDENT = _keep(incidents)
_KEEP_ENTITY = _keep(entities)
_KEEP_GUIDANCE = _keep(entities, revision=guidance_revision.next_value()).returning(
    entities.c.service
)

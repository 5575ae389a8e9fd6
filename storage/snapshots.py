"""Owns the read models' rows: how a subject's state becomes one, and that only newer ones win."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Table, tuple_
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.incident import Incident
from holdfast.domain.record import Record, Subject
from holdfast.domain.recovery import RecoveryState
from storage.tables import entities, incidents


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
        if isinstance(subject, Incident):
            await connection.execute(_KEEP_INCIDENT, _incident_row(subject) | place)
        else:
            await connection.execute(_KEEP_ENTITY, _entity_row(kind, subject) | place)


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


def _keep(table: Table) -> Insert:
    write = insert(table)
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

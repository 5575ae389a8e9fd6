"""Owns the incidents' read model: the lists of what is open, and any incident by its id."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import literal_column

from holdfast.domain.incident import Incident
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.model import Model
from holdfast.domain.severity import Severity
from storage.database import statement
from storage.page import Page, read_cursor
from storage.tables import incidents

# Written out, so that PostgreSQL sees that the index of active incidents serves.
_IS_ACTIVE = incidents.c.status != literal_column("'resolved'")


class IncidentCounts(Model):
    """How many incidents are active, in all and by what they are."""

    total: int = 0
    by_status: dict[IncidentStatus, int] = Field(default_factory=dict)
    by_severity: dict[Severity, int] = Field(default_factory=dict)
    by_service: dict[str, int] = Field(default_factory=dict)


class Incidents:
    """What the records say of incidents; a workflow may be a moment ahead."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, incident_id: str) -> Incident | None:
        """An incident, active or over."""
        query = select(incidents.c.snapshot).where(incidents.c.id == incident_id)
        async with statement(self._engine) as connection:
            snapshot = await connection.scalar(query)
        return None if snapshot is None else Incident.model_validate(snapshot)

    async def active(
        self,
        *,
        service: str | None = None,
        severity: Severity | None = None,
        status: IncidentStatus | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> Page[Incident]:
        """The incidents that are not over, newest first.

        Args:
            service: Of this service only.
            severity: Of this severity only.
            status: Of this status only; none are resolved.
            limit: The page's size.
            before: The cursor of the page before.

        Raises:
            InvalidInput: If the cursor is not one that a page gave.
        """
        query = _active(service, severity)
        if status is not None:
            query = query.where(incidents.c.status == status)
        return await self._page(query, limit=limit, before=before)

    async def escalated(
        self,
        *,
        service: str | None = None,
        severity: Severity | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> Page[Incident]:
        """The active incidents that somebody was paged for, or whose first page is waiting.

        Args and errors are those of ``active``.
        """
        query = _active(service, severity).where(incidents.c.escalating)
        return await self._page(query, limit=limit, before=before)

    async def opened_since(self, service: str, since: datetime) -> int:
        """How many incidents of a service opened since a time, those that are over included."""
        query = select(func.count()).where(
            incidents.c.service == service, incidents.c.opened_at >= since
        )
        async with statement(self._engine) as connection:
            return (await connection.execute(query)).scalar_one()

    async def escalating_of(self, services: Sequence[str], *, besides: str) -> Incident | None:
        """The oldest active incident of some services that people are or will be paged for.

        One that somebody has is among them: they are at work on it.

        Args:
            services: Of these.
            besides: The id of an incident that does not count.
        """
        concerns = or_(
            incidents.c.escalating, incidents.c.status == IncidentStatus.ACKNOWLEDGED.value
        )
        query = (
            select(incidents.c.snapshot)
            .where(_IS_ACTIVE, incidents.c.service.in_(services), incidents.c.id != besides)
            .where(concerns)
            .order_by(incidents.c.opened_at, incidents.c.id)
            .limit(1)
        )
        async with statement(self._engine) as connection:
            snapshot = await connection.scalar(query)
        return None if snapshot is None else Incident.model_validate(snapshot)

    async def held_by(self, *by: str) -> list[Incident]:
        """The active incidents whose pages are held by any of these, oldest first.

        Args:
            by: Ids of silences, or workflows of incidents that others are behind.
        """
        holder = incidents.c.snapshot[("escalation", "hold", "by")].astext
        query = (
            select(incidents.c.snapshot)
            .where(_IS_ACTIVE, holder.in_(by))
            .order_by(incidents.c.opened_at, incidents.c.id)
        )
        async with statement(self._engine) as connection:
            snapshots: Sequence[Any] = (await connection.scalars(query)).all()
        return [Incident.model_validate(snapshot) for snapshot in snapshots]

    async def counts(self) -> IncidentCounts:
        """How many are active, by status, severity and service."""
        by = {name: incidents.c[name] for name in ("status", "severity", "service")}
        sets = func.grouping_sets(*(tuple_(each) for each in by.values()))
        query = select(*by.values(), func.count().label("total")).where(_IS_ACTIVE).group_by(sets)
        async with statement(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        counted = {
            f"by_{name}": {row[name]: row["total"] for row in rows if row[name] is not None}
            for name in by
        }
        total = sum(counted["by_status"].values())
        return IncidentCounts.model_validate(counted | {"total": total})

    async def _page(self, query: Select[Any], *, limit: int, before: str | None) -> Page[Incident]:
        place = (incidents.c.opened_at, incidents.c.id)
        if before is not None:
            query = query.where(tuple_(*place) < tuple_(*read_cursor(before)))
        query = query.order_by(*(each.desc() for each in place)).limit(limit + 1)
        async with statement(self._engine) as connection:
            snapshots: Sequence[Any] = (await connection.scalars(query)).all()
        found = [Incident.model_validate(snapshot) for snapshot in snapshots]
        return Page[Incident].cut(
            found, limit=limit, place=lambda incident: (incident.opened_at, incident.id)
        )


def _active(service: str | None, severity: Severity | None) -> Select[Any]:
    query = select(incidents.c.snapshot).where(_IS_ACTIVE)
    if service is not None:
        query = query.where(incidents.c.service == service)
    if severity is not None:
        query = query.where(incidents.c.severity == severity)
    return query

"""Owns the read model of what every service has one of: breaker, degradation, recovery."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Integer, select
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.recovery import RecoveryState
from storage.database import statement
from storage.snapshots import Kind
from storage.tables import entities

_GUIDES: Mapping[str, type[CircuitBreaker | Degradation]] = {
    Kind.BREAKER: CircuitBreaker,
    Kind.DEGRADATION: Degradation,
}


class Guide(NamedTuple):
    """A state by which clients go, and the number of the change that led to it."""

    revision: int
    subject: CircuitBreaker | Degradation


class Entities:
    """What the records say of them; each list is ordered by service.

    A service that never had one is not in the list, and None by its name.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def breakers(self) -> list[CircuitBreaker]:
        """All circuit breakers."""
        return [CircuitBreaker.model_validate(each) for each in await self._all(Kind.BREAKER)]

    async def breaker(self, service: str) -> CircuitBreaker | None:
        """A service's circuit breaker."""
        found = await self._one(Kind.BREAKER, service)
        return None if found is None else CircuitBreaker.model_validate(found)

    async def degradations(self) -> list[Degradation]:
        """All degradations, those at full service included."""
        return [Degradation.model_validate(each) for each in await self._all(Kind.DEGRADATION)]

    async def degraded(self) -> list[Degradation]:
        """The degradations of services that are degraded now."""
        level = entities.c.snapshot["level"].astext.cast(Integer)
        found = await self._all(Kind.DEGRADATION, level > 0)
        return [Degradation.model_validate(each) for each in found]

    async def degradation(self, service: str) -> Degradation | None:
        """A service's degradation."""
        found = await self._one(Kind.DEGRADATION, service)
        return None if found is None else Degradation.model_validate(found)

    async def guides(self, *, after: int | None = None) -> Sequence[Guide]:
        """All breakers and degradations, in the order of their latest changes.

        Args:
            after: Leave out those that have not changed since this revision. Whoever has seen a
                revision has missed none before it.
        """
        columns = (entities.c.kind, entities.c.snapshot, entities.c.revision)
        query = select(*columns).where(entities.c.kind.in_(_GUIDES)).order_by(entities.c.revision)
        if after is not None:
            query = query.where(entities.c.revision > after)
        async with statement(self._engine) as connection:
            found = await connection.execute(query)
        return [
            Guide(each.revision, _GUIDES[each.kind].model_validate(each.snapshot)) for each in found
        ]

    async def recoveries(self) -> list[RecoveryState]:
        """All recoveries."""
        return [RecoveryState.model_validate(each) for each in await self._all(Kind.RECOVERY)]

    async def recovery(self, service: str) -> RecoveryState | None:
        """A service's recovery."""
        found = await self._one(Kind.RECOVERY, service)
        return None if found is None else RecoveryState.model_validate(found)

    async def _all(self, kind: Kind, *conditions: Any) -> list[Any]:
        query = select(entities.c.snapshot).where(entities.c.kind == kind, *conditions)
        async with statement(self._engine) as connection:
            return list(await connection.scalars(query.order_by(entities.c.service)))

    async def _one(self, kind: Kind, service: str) -> Any:
        query = select(entities.c.snapshot).where(
            entities.c.kind == kind, entities.c.service == service
        )
        async with statement(self._engine) as connection:
            return await connection.scalar(query)

"""Owns what keeps a whole page back: silences, the policy's hours, and what a service depends on.

No page waits for PostgreSQL. What can't be found out there in a second counts as nothing that
holds the page: one too many is better than none.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from holdfast.domain.incident import Incident
from holdfast.domain.page import HoldKind, PageHold, PageRequest
from holdfast.domain.silence import Silence
from holdfast.errors import Unavailable

log = structlog.get_logger(__name__)

_PATIENCE = timedelta(seconds=1)
# The dependency's incident says when it is over; were its workflow terminated by hand, the pages
# that it held back must not wait for ever.
_DEPENDENCY_AGAIN = timedelta(minutes=15)

Found = TypeVar("Found")


class EscalatingIncidents(Protocol):
    """What the record knows of other incidents; see ``storage.incidents``."""

    async def escalating_of(self, services: Sequence[str], *, besides: str) -> Incident | None:
        """An active incident of one of some services that people are paged for."""
        ...


class PlannedSilences(Protocol):
    """The planned silences; see ``activities.silence_book``."""

    def holding(
        self, *, service: str, category: str, labels: Mapping[str, str], at: datetime
    ) -> tuple[Silence, datetime] | None:
        """The silence that holds pages at a time, with its end."""
        ...


@dataclass(frozen=True)
class PageHolds:
    """Says what keeps a page back at a moment."""

    silences: PlannedSilences
    incidents: EscalatingIncidents

    async def hold(self, request: PageRequest) -> PageHold | None:
        """What keeps a page back; one that a person asked for is kept back by nothing."""
        if request.page.cause.asked_for:
            return None
        return self._silence(request) or _out_of_hours(request) or await self._dependency(request)

    def _silence(self, request: PageRequest) -> PageHold | None:
        subject = request.subject
        held = self.silences.holding(
            service=subject.service,
            category=subject.category,
            labels=subject.labels,
            at=request.at,
        )
        if held is None:
            return None
        silence, until = held
        reason = f"silenced by {silence.created_by}: {silence.reason}"
        return PageHold(kind=HoldKind.SILENCE, until=until, reason=reason, by=silence.id)

    async def _dependency(self, request: PageRequest) -> PageHold | None:
        if not request.depends_on:
            return None
        query = self.incidents.escalating_of(
            request.depends_on, besides=request.subject.incident_id
        )
        other = await asked(query, otherwise=None)
        if other is None or other.workflow_id in request.not_behind:
            return None
        return PageHold(
            kind=HoldKind.DEPENDENCY,
            until=request.at + _DEPENDENCY_AGAIN,
            reason=f"{request.subject.service} depends on {other.service}, which has the open "
            f"incident {other.id}: {other.title}",
            by=other.workflow_id,
        )


def _out_of_hours(request: PageRequest) -> PageHold | None:
    if request.hours is None or request.hours.contain(request.at):
        return None
    return PageHold(
        kind=HoldKind.HOURS,
        until=request.hours.next_start(request.at),
        reason=f"the policy '{request.policy}' pages only within its hours",
    )


async def asked(answer: Awaitable[Found], *, otherwise: Found) -> Found:
    """What PostgreSQL says, if it says it soon."""
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return await answer
    except (TimeoutError, Unavailable) as error:
        log.warning("a page goes on without the record", why=str(error))
        return otherwise

"""Owns the look into the world that a due page needs: who it reaches, and whether it may go now."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from temporalio import activity

from activities.page_holds import PageHolds, asked
from activities.roster import Roster
from holdfast.domain.channel import Channel
from holdfast.domain.page import (
    AdmissionRequest,
    IncidentsAsked,
    IncidentsCounted,
    LookUp,
    PageOrder,
    PageRequest,
    PagesWithdrawn,
    Recipient,
    notification_id,
)
from holdfast.domain.policy import Policy
from holdfast.domain.throttle import Admission, BundleBy, PageAsked


class Ledger(Protocol):
    """The pages that contacts got lately; see ``storage.page_ledger``."""

    async def admit(self, asked: PageAsked, *, now: datetime) -> Admission:
        """Decide whether a page goes now, and remember it."""
        ...

    async def withdraw(self, incident_id: str) -> None:
        """Take an incident's waiting pages out."""
        ...


class IncidentCounts(Protocol):
    """What the record knows of other incidents; see ``storage.incidents``."""

    async def opened_since(self, service: str, since: datetime) -> int:
        """How many incidents of a service opened since a time."""
        ...


@dataclass(frozen=True)
class EscalateActivities:
    """Looks up whom a page reaches and what holds it; workflows run these locally."""

    policy: Callable[[], Policy]
    roster: Roster
    holds: PageHolds
    ledger: Ledger
    incidents: IncidentCounts

    @activity.defn
    async def prepare_page(self, request: PageRequest) -> PageOrder:
        """Say what a due page comes to at this moment."""
        if hold := await self.holds.hold(request):
            return PageOrder(hold=hold)
        order = await self._order(LookUp(at=request.at, targets=request.page.targets))
        # Side by side: what is slow to answer for one delays no other.
        admitted = await asyncio.gather(
            *(
                self._admitted(request, recipient, place=place)
                for place, recipient in enumerate(order.recipients)
            )
        )
        return order.model_copy(update={"recipients": tuple(admitted)})

    @activity.defn
    async def admit_page(self, request: AdmissionRequest) -> Admission:
        """Say whether a contact may be told now."""
        return await self._admission(request)

    @activity.defn
    async def look_up(self, request: LookUp) -> PageOrder:
        """Say where targets are reached at this moment, whatever holds pages."""
        return await self._order(request)

    @activity.defn
    async def withdraw_pages(self, message: PagesWithdrawn) -> None:
        """Take an incident's waiting pages out, so that no bundle tells of them."""
        await asked(self.ledger.withdraw(message.incident_id), otherwise=None)

    @activity.defn
    async def count_incidents(self, request: IncidentsAsked) -> IncidentsCounted:
        """Count a service's incidents for the rules that ask."""
        counts: dict[timedelta, int] = {}
        for span in request.spans:
            query = self.incidents.opened_since(request.service, request.at - span)
            count = await asked(query, otherwise=None)
            if count is not None:
                counts[span] = count
        return IncidentsCounted(by_span=counts)

    async def _order(self, request: LookUp) -> PageOrder:
        found = await asyncio.gather(
            *(self.roster.recipient(target, at=request.at) for target in request.targets)
        )
        ends = [ends_at for _, ends_at in found if ends_at]
        recipients = tuple(recipient for recipient, _ in found)
        return PageOrder(recipients=recipients, shift_ends_at=min(ends, default=None))

    async def _admitted(
        self, request: PageRequest, recipient: Recipient, *, place: int
    ) -> Recipient:
        if not recipient.hops:
            return recipient
        name = notification_id(request.subject.incident_id, request.page, place=place, hop=0)
        admission = await self._admission(
            AdmissionRequest(
                at=request.at,
                subject=request.subject,
                policy=request.policy,
                notification_id=name,
                contact=recipient.hops[0].contact,
            )
        )
        return recipient.model_copy(update={"admission": admission})

    async def _admission(self, request: AdmissionRequest) -> Admission:
        policy = self.policy()
        by_service = policy.bundling.by is BundleBy.SERVICE
        channel: Channel | None = policy.channels.get(request.contact.channel)
        subject = request.subject
        page = PageAsked(
            notification_id=request.notification_id,
            contact=request.contact,
            incident_id=subject.incident_id,
            workflow_id=subject.workflow_id,
            service=subject.service,
            severity=subject.severity,
            title=subject.title,
            group=subject.service if by_service else request.policy,
            limits=channel.limits if channel else (),
            bundle_within=policy.bundling.within,
        )
        return await asked(self.ledger.admit(page, now=request.at), otherwise=Admission())

"""Owns the routes of escalations: who was told of what and why, and who is told next."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from api.authentication import Responder, Viewer
from api.dependencies import Cursor, IncidentId, Limit, ServicesDependency
from api.documentation import example, problems
from api.escalation_desk import Underway, underway
from api.examples import ACKNOWLEDGED
from api.examples_of_escalation import ESCALATION, ESCALATIONS
from api.incident_desk import Source
from api.listing import Listing
from api.routes.deeds import Acknowledgement, acknowledge_incident
from api.routes.incidents import IncidentView
from holdfast.domain.custody import Choice
from holdfast.domain.incident import Incident
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.model import Name
from holdfast.domain.notification import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    FailureKind,
    NotificationKind,
)
from holdfast.domain.outlook import Upcoming, upcoming
from holdfast.domain.page import PageHold
from holdfast.domain.severity import Severity
from holdfast.domain.throttle import BundledIncident

router = APIRouter(tags=["escalations"])


class Told(BaseModel):
    """One message to one target."""

    id: str = Field(description="Names the message; its receiver sees it as idempotency key.")
    kind: NotificationKind = Field(description="Why it was told.")
    target: str = Field(description="Whom the policy means.")
    person: str | None = Field(description="Who that was, by their key in the policy file.")
    channel: str | None = Field(description="Over which of the policy file's channels.")
    to: str | None = Field(description="The address there, where it is not the channel's own.")
    level: int = Field(description="The escalation level that told it.")
    round: int = Field(description="The climb of the ladder; 1 for the first.")
    status: DeliveryStatus = Field(description="How far the message has come.")
    queued_at: AwareDatetime = Field(description="When it was sent off.")
    finished_at: AwareDatetime | None = Field(description="When it arrived, or was given up.")
    held_until: AwareDatetime | None = Field(description="While it waits: until when at the most.")
    next_contact_at: AwareDatetime | None = Field(
        description="When the next contact has its turn, unless this one goes through."
    )
    failure: FailureKind | None = Field(description="What kind of failure it was.")
    reason: str | None = Field(description="Why it waits, was bundled, or did not arrive.")
    attempts: list[DeliveryAttempt] = Field(description="Every try, and what went wrong in it.")
    underway: Underway | None = Field(None, description="While it is on its way: how that goes.")
    bundled: list[BundledIncident] = Field(description="The other incidents that it spoke for.")

    @classmethod
    def of(cls, delivery: Delivery, now: Underway | None = None) -> Self:
        """A delivery as it is shown."""
        contact = delivery.contact or delivery.target.contact
        return cls(
            id=delivery.notification_id,
            target=str(delivery.target),
            channel=contact.channel if contact else None,
            to=contact.to if contact else None,
            attempts=list(delivery.attempts),
            bundled=list(delivery.bundled),
            underway=now,
            **delivery.model_dump(
                include={
                    "kind",
                    "person",
                    "level",
                    "round",
                    "status",
                    "queued_at",
                    "finished_at",
                    "held_until",
                    "next_contact_at",
                    "failure",
                    "reason",
                }
            ),
        )


class EscalationView(BaseModel):
    """An incident's escalation."""

    incident_id: str = Field(description="The incident; acknowledging it stops the escalation.")
    service: str = Field(description="Whose error it is.")
    title: str = Field(description="The error in a line.")
    severity: Severity = Field(description="How bad it is.")
    status: IncidentStatus = Field(description="Where the incident stands.")
    opened_at: AwareDatetime = Field(description="When it was opened.")
    acknowledged_at: AwareDatetime | None = Field(description="When somebody took it.")
    acknowledged_by: str | None = Field(description="Who has it.")
    assigned_to: str | None = Field(description="Whom it was handed to last.")
    snoozed_until: AwareDatetime | None = Field(description="Nobody is paged until then.")
    policy: str | None = Field(description="The escalation policy that is followed.")
    reason: str = Field(description="Why that one.")
    choices: list[Choice] = Field(description="What the rules decided, one after the other.")
    level: int = Field(description="The last level that was paged; 0 before the first.")
    round: int = Field(description="The climb of the ladder; 0 before the first page.")
    hold: PageHold | None = Field(description="What keeps the next page back.")
    unreached: list[str] = Field(description="Whom it could not reach; the next page tells it.")
    told: list[Told] = Field(description="Who was told, when, and over what.")
    next: Upcoming | None = Field(description="What comes next, if nobody does anything.")
    source: Source = Field(
        description="Who answered: the incident's workflow, or the record, which may be behind."
    )

    @classmethod
    def of(
        cls, incident: Incident, source: Source, pending: dict[str, Underway] | None = None
    ) -> Self:
        """An incident's escalation as it is shown."""
        escalation, now = incident.escalation, pending or {}
        return cls(
            incident_id=incident.id,
            service=incident.service,
            title=incident.title,
            severity=incident.severity,
            status=incident.status,
            opened_at=incident.opened_at,
            acknowledged_at=incident.acknowledged_at,
            acknowledged_by=incident.acknowledged_by,
            assigned_to=incident.custody.assigned_to,
            snoozed_until=incident.custody.snoozed_until,
            policy=escalation.policy,
            reason=escalation.reason,
            choices=list(escalation.choices),
            level=escalation.level,
            round=escalation.round,
            hold=escalation.hold,
            unreached=list(escalation.unreached),
            told=[Told.of(each, now.get(each.notification_id)) for each in incident.deliveries],
            next=upcoming(incident),
            source=source,
        )


@router.get(
    "/escalations/active",
    summary="The active escalations",
    response_description="Those of the newest incidents first.",
    responses=example(ESCALATIONS),
)
async def list_escalations(
    *,
    services: ServicesDependency,
    _: Viewer,
    service: Annotated[Name | None, Query(description="Of this service only.")] = None,
    severity: Annotated[Severity | None, Query(description="Of this severity only.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Listing[EscalationView]:
    """List the active incidents that somebody was paged for, or whose page is waiting.

    Each says who was told, when, over what and whether it arrived, and what comes next and when.
    """
    page = await services.incidents.escalated(
        service=service, severity=severity, limit=limit, before=cursor
    )
    shown = [EscalationView.of(each, Source.RECORD) for each in page.items]
    return Listing(items=shown, cursor=page.cursor)


@router.get(
    "/escalations/{incident_id}",
    summary="Why somebody was paged, or was not",
    response_description="The escalation as it is now.",
    responses=example(ESCALATION) | problems(404),
)
async def explain_escalation(
    services: ServicesDependency, _: Viewer, incident_id: IncidentId
) -> EscalationView:
    """Explain every notification of an incident, and what happens next.

    Which rule chose the policy; of every message the level, the person, the contact, each try and
    what went wrong in it; why one was held back, bundled, throttled or silenced; what is on its
    way now; and what comes next at what time.
    """
    incident, source = await services.incident_desk.get(incident_id)
    pending = {}
    if source is Source.WORKFLOW:
        pending = await underway(services.client, incident.workflow_id)
    return EscalationView.of(incident, source, pending)


@router.post(
    "/escalations/{incident_id}/acknowledge",
    summary="Answer an escalation",
    response_description="It is yours: nothing is sent any more.",
    responses=example(ACKNOWLEDGED) | problems(404, 409),
)
async def acknowledge_escalation(
    services: ServicesDependency,
    caller: Responder,
    incident_id: IncidentId,
    body: Acknowledgement | None = None,
) -> IncidentView:
    """Take the incident that an escalation is about: `POST /errors/{id}/acknowledge` itself."""
    return await acknowledge_incident(services, caller, incident_id, body)

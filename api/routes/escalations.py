"""Owns the routes of escalations: who was told of what, and who is told next."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from api.authentication import Responder, Viewer
from api.dependencies import Cursor, IncidentId, Limit, ServicesDependency
from api.documentation import example, problems
from api.examples import ACKNOWLEDGED, ESCALATIONS
from api.listing import Listing
from api.routes.incidents import Acknowledgement, IncidentView, acknowledge_incident
from holdfast.domain.incident import Incident, IncidentStatus
from holdfast.domain.model import Name
from holdfast.domain.notification import Delivery, DeliveryStatus, NotificationKind
from holdfast.domain.severity import Severity

router = APIRouter(tags=["escalations"])


class Told(BaseModel):
    """One message to one target."""

    kind: NotificationKind = Field(description="Why it was told.")
    channel: str = Field(description="Over which of the policy file's channels.")
    to: str | None = Field(description="The address there, where it is not the channel's own.")
    level: int = Field(description="The escalation level that told it.")
    round: int = Field(description="The climb of the ladder; 1 for the first.")
    status: DeliveryStatus = Field(description="How far the message has come.")
    queued_at: AwareDatetime = Field(description="When it was sent off.")
    finished_at: AwareDatetime | None = Field(description="When it arrived, or was given up.")
    reason: str | None = Field(description="Why it did not arrive.")

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """A delivery as it is shown."""
        return cls(
            kind=delivery.kind,
            channel=delivery.target.channel,
            to=delivery.target.to,
            level=delivery.level,
            round=delivery.round,
            status=delivery.status,
            queued_at=delivery.queued_at,
            finished_at=delivery.finished_at,
            reason=delivery.reason,
        )


class Upcoming(BaseModel):
    """What comes next, if nobody takes the incident."""

    what: str = Field(description="What will happen.", examples=["the next level is paged"])
    at: AwareDatetime = Field(description="When.")


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
    policy: str | None = Field(description="The escalation policy that is followed.")
    reason: str = Field(description="Why that one.")
    level: int = Field(description="The last level that was paged; 0 before the first.")
    round: int = Field(description="The climb of the ladder; 0 before the first page.")
    told: list[Told] = Field(description="Who was told, when, and over what.")
    next: Upcoming | None = Field(description="What comes next; nothing once somebody has it.")

    @classmethod
    def of(cls, incident: Incident) -> Self:
        """An incident's escalation as it is shown."""
        escalation = incident.escalation
        return cls(
            incident_id=incident.id,
            service=incident.service,
            title=incident.title,
            severity=incident.severity,
            status=incident.status,
            opened_at=incident.opened_at,
            acknowledged_at=incident.acknowledged_at,
            acknowledged_by=incident.acknowledged_by,
            policy=escalation.policy,
            reason=escalation.reason,
            level=escalation.level,
            round=escalation.round,
            told=[Told.of(each) for each in incident.deliveries],
            next=_upcoming(incident),
        )


def _upcoming(incident: Incident) -> Upcoming | None:
    escalation = incident.escalation
    if escalation.held_until:
        what = "level 1 is paged, unless recovery helps before"
        return Upcoming(what=what, at=escalation.held_until)
    if escalation.next_level_at:
        return Upcoming(what="the next level is paged", at=escalation.next_level_at)
    return None


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
    """List the active incidents that somebody was paged for, or whose first page is waiting.

    Each says who was told, when, over what and whether it arrived, and what comes next and when.
    """
    page = await services.incidents.escalated(
        service=service, severity=severity, limit=limit, before=cursor
    )
    return Listing(items=[EscalationView.of(each) for each in page.items], cursor=page.cursor)


@router.post(
    "/escalations/{incident_id}/acknowledge",
    summary="Answer an escalation",
    response_description="It is yours: no further page is begun.",
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

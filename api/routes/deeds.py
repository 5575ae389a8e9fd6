"""Owns the routes of what people do to an incident: take it, end it, snooze it, hand it over."""

from datetime import UTC, datetime, timedelta
from typing import Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.authentication import Responder
from api.dependencies import IncidentId, ServicesDependency
from api.documentation import example, problems
from api.durations import WrittenDuration
from api.examples import ACKNOWLEDGED, INCIDENT, RESOLVED
from api.examples_of_escalation import ESCALATED, SNOOZED
from api.incident_desk import Source
from api.key_ring import Caller
from api.routes.incidents import IncidentView
from api.services import Services
from holdfast.domain.custody import Actor, Via
from holdfast.domain.incident import Incident
from holdfast.domain.references import did_you_mean
from holdfast.domain.role import Role, allows
from holdfast.domain.target import Target
from holdfast.errors import Forbidden, InvalidInput

router = APIRouter(tags=["incidents"])

_LONGEST_SNOOZE = timedelta(days=30)


class Deed(BaseModel):
    """Who does it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"by": "ada"}]})

    by: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Who does it; the key's name when not given. A name of the policy file's "
        "`people` is that person. Naming somebody else needs the role operator.",
        examples=["ada"],
    )


class Acknowledgement(Deed):
    """Who takes an incident."""


class Ending(Deed):
    """Who ends an incident, and what there is to say about it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{}, {"note": "the disk was full; it has been extended"}]}
    )

    note: str | None = Field(
        None,
        max_length=4000,
        description="What was wrong, or was done; it goes on the record.",
        examples=["the disk was full; it has been extended"],
    )


class Snoozing(Deed):
    """How long an incident is left alone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"for": "1h"}, {"until": "2026-03-02T07:30:00Z", "by": "ada"}]
        }
    )

    span: WrittenDuration | None = Field(
        None, alias="for", description="So long from now.", examples=["1h"]
    )
    until: AwareDatetime | None = Field(None, description="Until then.")

    @model_validator(mode="after")
    def _says_how_long(self) -> Self:
        if (self.span is None) == (self.until is None):
            raise ValueError("expected one of for and until")
        return self

    def end(self, now: datetime) -> datetime:
        """When it is over.

        Raises:
            InvalidInput: If that is not within the next 30 days.
        """
        end = self.until or now + (self.span or timedelta())
        if not now < end <= now + _LONGEST_SNOOZE:
            raise InvalidInput(
                f"a snooze ends within the next {_LONGEST_SNOOZE.days} days, not at {end}",
                field="until" if self.until else "for",
            )
        return end


class Handover(Deed):
    """To whom an incident is handed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"to": {"person": "grace"}}, {"to": {"schedule": "leads"}}]}
    )

    to: Target = Field(description="A person, a schedule, or an address on a channel.")


class Note(Deed):
    """What somebody wants to keep."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "the cable looks loose"}]})

    text: str = Field(min_length=1, max_length=4000, description="It goes on the record.")


@router.post(
    "/errors/{incident_id}/acknowledge",
    summary="Take an incident",
    response_description="It is yours: nothing is sent any more.",
    responses=example(ACKNOWLEDGED) | problems(404, 409),
)
async def acknowledge_incident(
    services: ServicesDependency,
    caller: Responder,
    incident_id: IncidentId,
    body: Acknowledgement | None = None,
) -> IncidentView:
    """Take an incident: once this has answered, no page goes out. It works with PostgreSQL away.

    The first who takes it has it; to anybody later the answer is 409, and says who has it. The
    policy's `acknowledgement_timeout` takes an acknowledgement back that led nowhere.
    """
    by = actor_of(services, caller, body)
    return _view(await services.incident_desk.acknowledge(incident_id, by=by))


@router.post(
    "/errors/{incident_id}/unacknowledge",
    summary="Give an incident back",
    response_description="Nobody has it; escalation goes on.",
    responses=example(ESCALATED) | problems(404, 409),
)
async def unacknowledge_incident(
    services: ServicesDependency,
    caller: Responder,
    incident_id: IncidentId,
    body: Deed | None = None,
) -> IncidentView:
    """Give an incident back, or end its snooze: the level paged last is paged again, and so on."""
    by = actor_of(services, caller, body)
    return _view(await services.incident_desk.unacknowledge(incident_id, by=by))


@router.post(
    "/errors/{incident_id}/resolve",
    summary="End an incident",
    response_description="It is over.",
    responses=example(RESOLVED) | problems(404, 409),
)
async def resolve_incident(
    services: ServicesDependency,
    caller: Responder,
    incident_id: IncidentId,
    body: Ending | None = None,
) -> IncidentView:
    """End an incident: whoever was told is told, and what was switched off is restored.

    It works with PostgreSQL away. A later report of the same error opens the next incident.
    """
    by = actor_of(services, caller, body)
    note = body.note if body else None
    return _view(await services.incident_desk.resolve(incident_id, by=by, note=note))


@router.post(
    "/errors/{incident_id}/snooze",
    summary="Leave an incident alone for a while",
    response_description="Nobody is paged until then.",
    responses=example(SNOOZED) | problems(404, 409),
)
async def snooze_incident(
    services: ServicesDependency, caller: Responder, incident_id: IncidentId, body: Snoozing
) -> IncidentView:
    """Page nobody for a while; whoever has the incident keeps it until then.

    At the end, if it is still open, the level that was paged last is paged again.
    """
    by = actor_of(services, caller, body)
    until = body.end(datetime.now(UTC))
    return _view(await services.incident_desk.snooze(incident_id, by=by, until=until))


@router.post(
    "/errors/{incident_id}/reassign",
    summary="Hand an incident over",
    response_description="Whom it was handed to is paged.",
    responses=example(ESCALATED) | problems(404, 409),
)
async def reassign_incident(
    services: ServicesDependency, caller: Responder, incident_id: IncidentId, body: Handover
) -> IncidentView:
    """Hand an incident to somebody, who is paged at once, silence or not.

    Nobody has it until they acknowledge; if they don't, the next level has its turn.
    """
    check_target(services, body.to)
    by = actor_of(services, caller, body)
    return _view(await services.incident_desk.reassign(incident_id, by=by, to=body.to))


@router.post(
    "/errors/{incident_id}/escalate",
    summary="Page the next level now",
    response_description="The next level is paged.",
    responses=example(ESCALATED) | problems(404, 409),
)
async def escalate_incident(
    services: ServicesDependency,
    caller: Responder,
    incident_id: IncidentId,
    body: Deed | None = None,
) -> IncidentView:
    """Page the next level now, silence or not; whoever had the incident has it no longer."""
    by = actor_of(services, caller, body)
    return _view(await services.incident_desk.escalate(incident_id, by=by))


@router.post(
    "/errors/{incident_id}/note",
    summary="Note something on an incident",
    response_description="It is on the record.",
    responses=example(INCIDENT) | problems(404, 409),
)
async def note_on_incident(
    services: ServicesDependency, caller: Responder, incident_id: IncidentId, body: Note
) -> IncidentView:
    """Keep a note: on the record, in the incident, and in the threads of its messages."""
    by = actor_of(services, caller, body)
    return _view(await services.incident_desk.note(incident_id, by=by, text=body.text))


def _view(incident: Incident) -> IncidentView:
    return IncidentView.of(incident, Source.WORKFLOW)


def actor_of(services: Services, caller: Caller, body: Deed | None) -> Actor:
    """Who acts: the caller, or whom an operator names.

    Raises:
        Forbidden: If somebody else is named without the role for it.
    """
    by = (body.by if body else None) or caller.name
    if by != caller.name and not allows(caller.roles, Role.OPERATOR):
        raise Forbidden(f"only an operator's key may act for somebody else; leave out by: {by}")
    known = by in services.holder.policy.people
    return Actor(name=by, person=by if known else None, via=Via.API)


def check_target(services: Services, target: Target) -> None:
    """Refuse a target whose name leads nowhere.

    Raises:
        InvalidInput: Naming the close one that may have been meant.
    """
    policy = services.holder.policy
    for noun, name, known in (
        ("person", target.person, policy.people),
        ("schedule", target.schedule, policy.schedules),
        ("channel", target.channel, policy.channels),
    ):
        if name and name not in known:
            message = f"the policy file has no {noun} {name!r}{did_you_mean(name, known)}"
            raise InvalidInput(message, field=f"to.{noun}")

"""Owns the routes of incidents: the active ones, one in full, and what people do to it."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.authentication import Responder, Viewer
from api.dependencies import Cursor, IncidentId, Limit, ServicesDependency
from api.documentation import example, problems
from api.examples import ACKNOWLEDGED, ACTIVE, INCIDENT, RESOLVED
from api.incident_desk import Source
from api.key_ring import Caller
from api.listing import Listing
from api.services import Services
from holdfast.domain.incident import Incident, IncidentStatus
from holdfast.domain.model import Name
from holdfast.domain.role import Role, allows
from holdfast.domain.severity import Severity
from holdfast.errors import Forbidden
from storage.page import Page

router = APIRouter(tags=["incidents"])

_PICKED_FROM = 500


class IncidentSummary(BaseModel):
    """An incident as a list shows it."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Names the incident.")
    service: str = Field(description="Whose error it is.")
    title: str = Field(description="The error in a line.")
    category: str = Field(description="What kind of error.")
    severity: Severity = Field(description="How bad it is.")
    status: IncidentStatus = Field(description="Where it stands.")
    reason: str = Field(description="Which rule decided on category and severity.")
    report_count: int = Field(description="How often the error was reported.")
    opened_at: AwareDatetime = Field(description="When it was opened.")
    last_report_at: AwareDatetime = Field(description="When the error last happened.")
    acknowledged_at: AwareDatetime | None = Field(description="When somebody took it.")
    acknowledged_by: str | None = Field(description="Who has it.")
    fingerprint: str = Field(description="The key by which reports are the same error.")


class IncidentView(Incident):
    """An incident in full: its latest report, what was tried, who was told."""

    source: Source = Field(
        description="Who answered: the incident's workflow, or the record, which may be behind."
    )

    @classmethod
    def of(cls, incident: Incident, source: Source) -> Self:
        """An incident, and who told of it."""
        return cls.model_validate(incident.model_dump() | {"source": source})


class Acknowledgement(BaseModel):
    """Who takes an incident."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"by": "ada"}]})

    by: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Who takes it; the key's name when not given. Naming somebody else needs the "
        "role operator.",
        examples=["ada"],
    )


class Ending(Acknowledgement):
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


@router.get(
    "/errors/active",
    summary="The active incidents",
    response_description="The newest first.",
    responses=example(ACTIVE),
)
async def list_active(
    *,
    services: ServicesDependency,
    _: Viewer,
    service: Annotated[Name | None, Query(description="Of this service only.")] = None,
    severity: Annotated[Severity | None, Query(description="Of this severity only.")] = None,
    status: Annotated[IncidentStatus | None, Query(description="Of this status only.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Listing[IncidentSummary]:
    """List the incidents that are not over, from the record.

    A single incident, `GET /errors/{id}`, is answered by its workflow and may be a moment ahead.
    """
    page = await _active(services, service, severity, status, limit=limit, cursor=cursor)
    items = [IncidentSummary.model_validate(each) for each in page.items]
    return Listing(items=items, cursor=page.cursor)


async def _active(
    services: Services,
    service: str | None,
    severity: Severity | None,
    status: IncidentStatus | None,
    *,
    limit: int,
    cursor: str | None,
) -> Page[Incident]:
    """A page of the active incidents; those of one status are picked out of the others."""
    found: list[Incident] = []
    while True:
        page = await services.incidents.active(
            service=service,
            severity=severity,
            limit=limit if status is None else _PICKED_FROM,
            before=cursor,
        )
        if status is None:
            return page
        found += [each for each in page.items if each.status is status]
        cursor = page.cursor
        if cursor is None or len(found) > limit:
            return Page[Incident].cut(found, limit=limit, place=lambda it: (it.opened_at, it.id))


@router.get(
    "/errors/{incident_id}",
    summary="One incident in full",
    response_description="The incident as it is now.",
    responses=example(INCIDENT) | problems(404),
)
async def get_incident(
    services: ServicesDependency, _: Viewer, incident_id: IncidentId
) -> IncidentView:
    """Show an incident: its latest report, every attempt of recovery, everybody who was told.

    An active one is answered by its workflow (`source: workflow`), also with PostgreSQL away.
    """
    return IncidentView.of(*await services.incident_desk.get(incident_id))


@router.post(
    "/errors/{incident_id}/acknowledge",
    summary="Take an incident",
    response_description="It is yours: no further page is begun.",
    responses=example(ACKNOWLEDGED) | problems(404, 409),
)
async def acknowledge_incident(
    services: ServicesDependency,
    caller: Responder,
    incident_id: IncidentId,
    body: Acknowledgement | None = None,
) -> IncidentView:
    """Take an incident: pages that are due, or wait for another try, are given up.

    It works with PostgreSQL away.

    The first who takes it has it; to anybody later the answer is 409, and says who has it.
    """
    by = _named(caller, body)
    incident = await services.incident_desk.acknowledge(incident_id, by=by)
    return IncidentView.of(incident, Source.WORKFLOW)


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
    incident = await services.incident_desk.resolve(
        incident_id, by=_named(caller, body), note=body.note if body else None
    )
    return IncidentView.of(incident, Source.WORKFLOW)


def _named(caller: Caller, body: Acknowledgement | None) -> str:
    """Who acts: the caller, or whom an operator names."""
    by = body.by if body else None
    if by not in {None, caller.name} and not allows(caller.roles, Role.OPERATOR):
        raise Forbidden(f"only an operator's key may act for somebody else; leave out by: {by}")
    return by or caller.name

"""Owns the routes of incidents: the active ones, one in full, and what people do to it."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.authentication import Viewer
from api.dependencies import Cursor, IncidentId, Limit, ServicesDependency
from api.documentation import example, problems
from api.examples import ACTIVE, INCIDENT
from api.incident_desk import Source
from api.listing import Listing
from holdfast.domain.incident import Incident
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.model import Name
from holdfast.domain.severity import Severity

router = APIRouter(tags=["incidents"])


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
    page = await services.incidents.active(
        service=service, severity=severity, status=status, limit=limit, before=cursor
    )
    items = [IncidentSummary.model_validate(each) for each in page.items]
    return Listing(items=items, cursor=page.cursor)


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

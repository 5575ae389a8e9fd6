"""Owns what people see of an incident and do to it; works with PostgreSQL away."""

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

import structlog
from temporalio.client import Client, WorkflowExecution, WorkflowHandle

from api.temporal import QUERY_PATIENCE, UPDATE_PATIENCE, ask, asking
from config.search_attributes import INCIDENT
from holdfast.domain.custody import Actor
from holdfast.domain.incident import Incident
from holdfast.domain.notification import DeliveryReport
from holdfast.domain.report import incident_workflow_id
from holdfast.domain.target import Target
from holdfast.errors import Conflict, IncidentAlreadyResolved, NotFound, Unavailable
from storage.incidents import Incidents
from workflows.incident import IncidentWorkflow
from workflows.messages import (
    Acknowledge,
    Deed,
    Escalate,
    Reassign,
    Remarked,
    Resolve,
    Snooze,
    Unacknowledge,
)

log = structlog.get_logger(__name__)


_NOBODY: Final = Actor(name="nobody")

# A PostgreSQL that hangs must not keep a person from taking an incident.
_RECORD_PATIENCE: Final = timedelta(seconds=1)


class Source(StrEnum):
    """Who answered: the workflow itself, or the record, which may be a moment behind."""

    WORKFLOW = "workflow"
    RECORD = "record"


class _Place(NamedTuple):
    """Where an incident is: its workflow, and what the record says if that could be read."""

    workflow_id: str
    run_id: str | None
    record: Incident | None


class IncidentDesk:
    """Answers about single incidents, and passes on what people do to them."""

    def __init__(self, *, client: Client, incidents: Incidents) -> None:
        self._client = client
        self._incidents = incidents

    async def get(self, incident_id: str) -> tuple[Incident, Source]:
        """An incident as it is now, and who said so.

        Raises:
            NotFound: If there is no such incident.
            Unavailable: If neither the record nor the workflow can be asked.
        """
        place = await self._find(incident_id)
        if place.record and place.record.is_resolved:
            return place.record, Source.RECORD
        try:
            snapshot = await ask(
                self._client, IncidentWorkflow.snapshot, place.workflow_id, run_id=place.run_id
            )
        except (NotFound, Unavailable) as error:
            if place.record is None:
                raise
            log.info("an incident is told from its record", incident=incident_id, why=str(error))
            return place.record, Source.RECORD
        if snapshot and snapshot.id == incident_id:
            return snapshot, Source.WORKFLOW
        # The workflow has gone on to the error's next incident; the last record is on its way.
        if place.record is None:
            raise _unknown(incident_id)
        return place.record, Source.RECORD

    async def acknowledge(
        self, incident_id: str, *, by: Actor, link: str | None = None
    ) -> Incident:
        """Take an incident for a person; nothing is sent any more once this has returned.

        Args:
            incident_id: Which.
            by: Who.
            link: The one-time link that they used, if they did.

        Raises:
            Conflict: If somebody has it (the message says who), or the link was used.
            IncidentAlreadyResolved: If it is over.
            NotFound: If there is no such incident.
            Unavailable: If Temporal or its workers gave no answer in time.
        """
        message = Acknowledge(**_deed(incident_id, by, link))
        return await self._update(incident_id, "acknowledge", message)

    async def unacknowledge(
        self, incident_id: str, *, by: Actor, link: str | None = None
    ) -> Incident:
        """Give an incident back: its escalation goes on; errors are those of ``acknowledge``."""
        message = Unacknowledge(**_deed(incident_id, by, link))
        return await self._update(incident_id, "unacknowledge", message)

    async def resolve(
        self, incident_id: str, *, by: Actor, note: str | None = None, link: str | None = None
    ) -> Incident:
        """End an incident for a person; errors are those of ``acknowledge``."""
        message = Resolve(**_deed(incident_id, by, link), note=note)
        return await self._update(incident_id, "resolve", message)

    async def snooze(
        self, incident_id: str, *, by: Actor, until: datetime, link: str | None = None
    ) -> Incident:
        """Page nobody until a time; errors are those of ``acknowledge``."""
        message = Snooze(**_deed(incident_id, by, link), until=until)
        return await self._update(incident_id, "snooze", message)

    async def reassign(
        self, incident_id: str, *, by: Actor, to: Target, link: str | None = None
    ) -> Incident:
        """Hand an incident to somebody, who is paged; errors are those of ``acknowledge``."""
        message = Reassign(**_deed(incident_id, by, link), to=to)
        return await self._update(incident_id, "reassign", message)

    async def escalate(self, incident_id: str, *, by: Actor, link: str | None = None) -> Incident:
        """Page the next level now; errors are those of ``acknowledge``."""
        message = Escalate(**_deed(incident_id, by, link))
        return await self._update(incident_id, "escalate", message)

    async def note(
        self, incident_id: str, *, by: Actor, text: str, link: str | None = None
    ) -> Incident:
        """Note something on an incident; errors are those of ``acknowledge``."""
        message = Remarked(**_deed(incident_id, by, link), text=text)
        return await self._update(incident_id, "note", message)

    async def delivered(self, incident_id: str, report: DeliveryReport) -> None:
        """Tell an incident what a channel says of a message that it took.

        Raises:
            NotFound: If there is no such incident.
            IncidentAlreadyResolved: If it is over.
            Unavailable: If Temporal gave no answer in time.
        """
        handle = await self._open(incident_id)
        with asking(handle.id):
            await handle.signal(IncidentWorkflow.delivered, report, rpc_timeout=UPDATE_PATIENCE)

    async def resolve_error(
        self, service: str, fingerprint: str, *, by: Actor, note: str
    ) -> Incident | None:
        """End the incident of an error that is told to be over; None if none was open.

        Raises:
            Unavailable: If Temporal or its workers gave no answer in time.
        """
        workflow_id = incident_workflow_id(service, fingerprint)
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            incident = await ask(self._client, IncidentWorkflow.snapshot, workflow_id)
            if incident is None or incident.is_resolved:
                return None
            message = Resolve(**_deed(incident.id, by, None), note=note)
            return await self._tell(handle, "resolve", message)
        except (Conflict, NotFound) as error:
            # A conflict too: it was over first, or ended while it was asked.
            log.info("an error that is over has no open incident", id=workflow_id, why=str(error))
            return None

    async def _update(self, incident_id: str, update: str, message: Deed) -> Incident:
        handle = await self._open(incident_id)
        try:
            return await self._tell(handle, update, message)
        except NotFound as error:
            raise _over(incident_id) from error

    @staticmethod
    async def _tell(
        handle: WorkflowHandle[IncidentWorkflow, None], update: str, message: Deed
    ) -> Incident:
        with asking(handle.id):
            answer: Incident = await handle.execute_update(
                update, message, result_type=Incident, rpc_timeout=UPDATE_PATIENCE
            )
            return answer

    async def recheck(self, incident: Incident) -> None:
        """Have an incident whose page is held look again at once; one that is over has none."""
        handle = self._client.get_workflow_handle(incident.workflow_id)
        try:
            with asking(handle.id):
                await handle.signal("recheck", rpc_timeout=UPDATE_PATIENCE)
        except NotFound:
            log.info("an incident that was held is over", incident=incident.id)

    async def _open(self, incident_id: str) -> WorkflowHandle[IncidentWorkflow, None]:
        """The workflow of an incident that is not over, as far as the record knows."""
        place = await self._find(incident_id)
        if place.record and place.record.is_resolved:
            # The domain's own refusal: it names who ended it, and when.
            place.record.acknowledged(_NOBODY, at=datetime.now(UTC))
        # Not one run of it: an incident goes on in its workflow's next run.
        return self._client.get_workflow_handle_for(IncidentWorkflow.run, place.workflow_id)

    async def _find(self, incident_id: str) -> _Place:
        try:
            async with asyncio.timeout(_RECORD_PATIENCE.total_seconds()):
                record = await self._incidents.get(incident_id)
        except (TimeoutError, Unavailable) as error:
            log.info("an incident is looked for in Temporal", id=incident_id, why=str(error))
            record = None
        if record:
            return _Place(record.workflow_id, None, record)
        # PostgreSQL is away, or the incident's first record is on its way.
        if found := await self._execution(incident_id):
            return _Place(found.id, found.run_id, None)
        raise _unknown(incident_id)

    async def _execution(self, incident_id: str) -> WorkflowExecution | None:
        """The workflow run that last had an incident; the id's form rules out a query of its own.

        Runs that are open come first.
        """
        query = f"{INCIDENT.name} = '{incident_id}'"
        with asking("the list of workflows"):
            executions = self._client.list_workflows(
                query, limit=1, page_size=1, rpc_timeout=QUERY_PATIENCE
            )
            return await anext(aiter(executions), None)


def _unknown(incident_id: str) -> NotFound:
    return NotFound(f"there is no incident {incident_id}")


def _over(incident_id: str) -> IncidentAlreadyResolved:
    return IncidentAlreadyResolved(f"incident {incident_id} is over")


def _deed(incident_id: str, by: Actor, link: str | None) -> dict[str, Any]:
    """What every deed says."""
    who = {"by": by.name, "person": by.person, "via": by.via}
    return who | {"incident_id": incident_id, "link": link}

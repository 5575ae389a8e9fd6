"""Owns the incident in its workflow's hands: its value, its record, its face in the UI."""

from pydantic import JsonValue
from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from config.search_attributes import CATEGORY, INCIDENT, SERVICE, SEVERITY, STATUS
from holdfast.domain.audit import SYSTEM, AuditEvent
from holdfast.domain.incident import Incident
from holdfast.domain.markdown import incident_markdown
from holdfast.domain.policy import Plan
from workflows.recorder import Recorder


class Case:
    """One incident being worked on; every change of it passes through here and is recorded.

    Attributes:
        incident: Its present value.
        plan: What it follows.
        recovery_over: Set when no automatic step is left; ``ignored`` when the strategy wants
            nobody paged either.
    """

    def __init__(self, incident: Incident, plan: Plan, *, recorder: Recorder) -> None:
        self.incident = incident
        self.plan = plan
        self.recovery_over = False
        self.ignored = False
        self._recorder = recorder
        self._shown: dict[str, str] = {}

    @property
    def is_held_by_nobody(self) -> bool:
        """Whether pages may go out: nobody took it and it is not over."""
        return not self.incident.is_acknowledged and not self.incident.is_resolved

    def note(
        self,
        event: AuditEvent,
        summary: str,
        *,
        becomes: Incident | None = None,
        actor: str = SYSTEM,
        detail: dict[str, JsonValue] | None = None,
    ) -> None:
        """Record a fact and the change that it makes to the incident."""
        self.incident = becomes or self.incident
        self._recorder.note(event, summary, subject=self.incident, actor=actor, detail=detail)
        self.show()

    def show(self) -> None:
        """Bring what the Temporal UI shows up to date; only what changed becomes an event."""
        workflow.set_current_details(incident_markdown(self.incident))
        wanted = {
            INCIDENT: self.incident.id,
            SERVICE: self.incident.service,
            CATEGORY: self.incident.category,
            SEVERITY: self.incident.severity.value,
            STATUS: self.incident.status.value,
        }
        present = workflow.info().typed_search_attributes
        updates: list[SearchAttributeUpdate[str]] = [
            key.value_set(value) for key, value in wanted.items() if present.get(key) != value
        ]
        if updates:
            workflow.upsert_search_attributes(updates)

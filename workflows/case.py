"""Owns the incident in its workflow's hands: its value, its record, its face in the UI."""

from collections.abc import Callable

from pydantic import JsonValue
from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from config.search_attributes import CATEGORY, INCIDENT, SERVICE, SEVERITY, STATUS
from holdfast.domain.audit import FOLLOWED, SYSTEM, AuditEvent
from holdfast.domain.incident import Incident
from holdfast.domain.markdown import incident_markdown
from holdfast.domain.notification import TimelineLine
from holdfast.domain.outlook import outlook
from holdfast.domain.page import PageSubject
from holdfast.domain.policy import Plan
from workflows.recorder import Recorder


class Case:
    """One incident being worked on; every change of it passes through here and is recorded.

    Attributes:
        incident: Its present value.
        plan: What it follows.
        recovery_over: Set when no automatic step is left; ``ignored`` when the strategy wants
            nobody paged either.
        on_line: Called with each step that people who follow the incident want to see.
    """

    def __init__(self, incident: Incident, plan: Plan, *, recorder: Recorder) -> None:
        self.incident = incident
        self.plan = plan
        self.recovery_over = False
        self.ignored = False
        self.on_line: Callable[[TimelineLine], None] | None = None
        self._recorder = recorder

    @property
    def is_held_by_nobody(self) -> bool:
        """Whether pages may go out: nobody took or snoozed it and it is not over."""
        incident = self.incident
        return not (incident.is_acknowledged or incident.is_snoozed or incident.is_resolved)

    @property
    def pages_nobody(self) -> bool:
        """Whether it is only counted."""
        return self.ignored or self.plan.is_ignored

    @property
    def outlook(self) -> str:
        """What comes next, as a sentence for a message."""
        return outlook(self.incident)

    @property
    def subject(self) -> PageSubject:
        """What of it decides about its pages."""
        incident = self.incident
        return PageSubject(
            incident_id=incident.id,
            workflow_id=incident.workflow_id,
            service=incident.service,
            category=incident.category,
            severity=incident.severity,
            labels=incident.sample.labels,
            title=incident.title,
        )

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
        if self.on_line and event in FOLLOWED:
            self.on_line(TimelineLine(at=workflow.now(), text=summary))
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

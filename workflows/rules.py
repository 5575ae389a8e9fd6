"""Owns the asking of the escalation rules while an incident goes on, with what they ask about."""

from datetime import timedelta

from temporalio import workflow

from activities.escalate import EscalateActivities
from holdfast.domain.audit import AuditEvent
from holdfast.domain.escalation import Circumstances, EscalationChoice
from holdfast.domain.frequency import Tally
from holdfast.domain.page import IncidentsAsked, IncidentsCounted
from workflows.case import Case

_QUICK = timedelta(seconds=5)


class Rules:
    """The rules that an incident pinned, and the counts that they ask for.

    Args:
        case: The incident.
        tallies: What the run before counted of its reports; None at its beginning.
    """

    def __init__(self, case: Case, tallies: tuple[Tally, ...] | None) -> None:
        self.tallies = case.plan.book.tallies() if tallies is None else tallies
        self._case = case
        self._incidents = IncidentsCounted()

    def counted(self, count: int) -> None:
        """Count reports."""
        now = workflow.now()
        self.tallies = tuple(each.counted(count, at=now) for each in self.tallies)

    async def count_incidents(self) -> None:
        """Have the service's incidents counted, if a rule asks for them."""
        if spans := self._case.plan.book.incident_spans():
            service = self._case.incident.service
            self._incidents = await workflow.execute_local_activity_method(
                EscalateActivities.count_incidents,
                IncidentsAsked(at=workflow.now(), service=service, spans=spans),
                start_to_close_timeout=_QUICK,
                summary=f"how many incidents {service} had",
            )

    def raise_severity(self) -> None:
        """Raise the incident's severity, if a rule says so by now."""
        severity, why = self._case.plan.book.severity(workflow.now(), self._circumstances())
        if why:
            self._case.note(
                AuditEvent.INCIDENT_RAISED,
                f"the severity is raised to {severity} by {why}",
                becomes=self._case.incident.model_copy(update={"severity": severity}),
                detail={"severity": severity.value},
            )

    def choice(self) -> EscalationChoice | None:
        """The policy that the rules choose by now; None when nobody is paged."""
        plan = self._case.plan
        return plan.book.choice(workflow.now(), self._circumstances()) or plan.escalation

    def _circumstances(self) -> Circumstances:
        incident = self._case.incident
        return Circumstances(
            service=incident.service,
            category=incident.category,
            severity=incident.severity,
            occurrences=self.tallies,
            incidents=self._incidents.by_span,
        )

"""Owns what people do to an incident: each an update with a validator and a clear answer.

A refusal is the domain's own, and changes nothing. One-time links count with the deed that they
were used for.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from holdfast.domain.audit import AuditEvent
from holdfast.domain.custody import Remark
from holdfast.domain.incident import Incident
from holdfast.domain.incident_status import Resolution
from holdfast.domain.notification import DeliveryReport, NotificationKind
from holdfast.domain.page import Behind
from holdfast.errors import Conflict, HoldfastError, IncidentAlreadyResolved
from workflows.case import Case
from workflows.first_pager import FirstPager
from workflows.messages import (
    Acknowledge,
    Deed,
    Escalate,
    Reassign,
    Remarked,
    ReportReports,
    Resolve,
    Snooze,
    Unacknowledge,
)
from workflows.pager import Pager
from workflows.recorder import Recorder


class Deeds:
    """The part of an incident's workflow that people speak to."""

    _case: Case | None
    _pager: Pager | FirstPager
    _behind: list[str]
    _recorder: Recorder
    _successor: ReportReports | None

    def _present(self) -> Case:
        if self._case is None:
            raise Conflict("the incident has not been reported yet")
        return self._case

    def _escalation(self) -> Pager:
        if isinstance(self._pager, FirstPager):
            raise Conflict(
                "this incident began before Holdfast was upgraded: acknowledge or resolve it"
            )
        return self._pager

    def _addressed(self, incident_id: str | None) -> Incident:
        """The present incident, if it is the one that is meant."""
        incident = self._present().incident
        if incident_id not in {None, incident.id}:
            raise IncidentAlreadyResolved(f"incident {incident_id} is over")
        return incident

    def _linked(self, message: Deed) -> Incident:
        """The incident that is meant, with the deed's link used up."""
        incident = self._addressed(message.incident_id)
        return incident.linked(message.link) if message.link else incident

    @workflow.update
    async def acknowledge(self, message: Acknowledge) -> Incident:
        """Take the incident: once this has returned, no page goes out."""
        await self._acknowledge(message)
        return self._present().incident

    @acknowledge.validator
    def check_acknowledge(self, message: Acknowledge) -> None:
        """Refuse what would change nothing, and say who has it."""
        with _refusing():
            self._acknowledged(message)

    @workflow.signal(name="acknowledge")
    async def acknowledge_signal(self, message: Acknowledge) -> None:
        """Take the incident from the Temporal UI or its command line; too late changes nothing."""
        try:
            await self._acknowledge(message)
        except HoldfastError as error:
            workflow.logger.info("acknowledge was refused: %s", error)

    async def _acknowledge(self, message: Acknowledge) -> None:
        incident = self._acknowledged(message)
        self._present().note(
            AuditEvent.INCIDENT_ACKNOWLEDGED,
            f"{message.actor} has it",
            becomes=incident,
            actor=message.by,
        )
        await self._stop_paging(message, NotificationKind.ACKNOWLEDGED)

    def _acknowledged(self, message: Acknowledge) -> Incident:
        timeout, remind_before = timedelta(0), timedelta(0)
        if isinstance(self._pager, Pager) and self._pager.standing.ladder:
            policy = self._pager.standing.ladder.policy
            timeout, remind_before = policy.acknowledgement_timeout, policy.remind_before
        return self._linked(message).acknowledged(
            message.actor, at=workflow.now(), timeout=timeout, remind_before=remind_before
        )

    async def _stop_paging(self, message: Deed, news: NotificationKind) -> None:
        if isinstance(self._pager, FirstPager):
            self._pager.stop()
            self._pager.tell(news)
            await self._pager.pages_stopped()
            return
        await self._pager.messenger.stop_pages()
        if not self._present().incident.is_resolved:
            self._pager.messenger.news.tell(news, by=message.actor)

    @workflow.update
    async def unacknowledge(self, message: Unacknowledge) -> Incident:
        """Give the incident back: the level that was paged last is paged again, and so on."""
        pager = self._escalation()
        self._present().incident = self._linked(message)
        pager.give_back(f"{message.actor} gave it back: escalation goes on", by=message.actor)
        return self._present().incident

    @unacknowledge.validator
    def check_unacknowledge(self, message: Unacknowledge) -> None:
        """Refuse to give back what nobody has."""
        with _refusing():
            self._escalation()
            self._linked(message).unacknowledged()

    @workflow.update
    async def resolve(self, message: Resolve) -> Incident:
        """End the incident."""
        self._present().incident = self._linked(message)
        self._resolve(Resolution.PERSON, by=message.by, note=message.note)
        return self._present().incident

    @resolve.validator
    def check_resolve(self, message: Resolve) -> None:
        """Refuse to end what is over."""
        with _refusing():
            self._linked(message).resolved(Resolution.PERSON, by=message.by, at=workflow.now())

    def _resolve(self, how: Resolution, *, by: str, note: str | None) -> None:
        case = self._present()
        case.note(
            AuditEvent.INCIDENT_RESOLVED,
            f"resolved by {by} ({how.value})" + (f": {note}" if note else ""),
            becomes=case.incident.resolved(how, by=by, at=workflow.now(), note=note),
            actor=by,
            detail={"resolution": how.value, "reports": case.incident.report_count},
        )
        self._pager.stop()

    @workflow.update
    async def snooze(self, message: Snooze) -> Incident:
        """Leave the incident alone until a time; then the level paged last is paged again."""
        incident = self._snoozed(message)
        self._present().note(
            AuditEvent.INCIDENT_SNOOZED,
            f"{message.actor} snoozed it until {message.until:%Y-%m-%d %H:%M} UTC",
            becomes=incident,
            actor=message.by,
            detail={"until": message.until.isoformat()},
        )
        await self._stop_paging(message, NotificationKind.ACKNOWLEDGED)
        return self._present().incident

    @snooze.validator
    def check_snooze(self, message: Snooze) -> None:
        """Refuse a time that has passed."""
        with _refusing():
            self._escalation()
            self._snoozed(message)

    def _snoozed(self, message: Snooze) -> Incident:
        now = workflow.now()
        return self._linked(message).snoozed(message.actor, until=message.until, at=now)

    @workflow.update
    async def reassign(self, message: Reassign) -> Incident:
        """Hand the incident to somebody else, who is paged at once."""
        pager = self._escalation()
        incident = self._linked(message).reassigned(str(message.to))
        self._present().note(
            AuditEvent.INCIDENT_REASSIGNED,
            f"{message.actor} handed it to {message.to}",
            becomes=incident,
            actor=message.by,
            detail={"to": str(message.to)},
        )
        pager.standing.hand_over(message.to)
        return self._present().incident

    @reassign.validator
    def check_reassign(self, message: Reassign) -> None:
        """Refuse to hand over what is over."""
        with _refusing():
            self._escalation()
            self._linked(message).reassigned(str(message.to))

    @workflow.update
    async def escalate(self, message: Escalate) -> Incident:
        """Page the next level now, whoever has the incident."""
        pager = self._escalation()
        incident = self._linked(message)
        if incident.is_acknowledged or incident.is_snoozed:
            incident = incident.unacknowledged()
        self._present().note(
            AuditEvent.ESCALATION_HURRIED,
            f"{message.actor} wants the next level paged now",
            becomes=incident,
            actor=message.by,
        )
        pager.standing.hurry()
        return self._present().incident

    @escalate.validator
    def check_escalate(self, message: Escalate) -> None:
        """Refuse when there is no level left, or the incident is over."""
        with _refusing():
            incident = self._linked(message)
            if incident.is_resolved:
                raise IncidentAlreadyResolved(f"incident {incident.id} is over")
            self._escalation().standing.check_hurry()

    @workflow.update
    async def note(self, message: Remarked) -> Incident:
        """Keep what somebody noted."""
        incident = self._linked(message)
        remark = Remark(at=workflow.now(), by=message.by, text=message.text)
        self._present().note(
            AuditEvent.INCIDENT_NOTED,
            f"{message.actor}: {message.text}",
            becomes=incident.remarked(remark),
            actor=message.by,
        )
        return self._present().incident

    @note.validator
    def check_note(self, message: Remarked) -> None:
        """Refuse a note on what another incident has followed."""
        with _refusing():
            self._linked(message)

    @workflow.signal
    def delivered(self, report: DeliveryReport) -> None:
        """Take what a channel says of a message that it took."""
        if self._case and isinstance(self._pager, Pager):
            self._pager.messenger.report(report)

    @workflow.signal
    def recheck(self) -> None:
        """Look again whether the page that is held may go."""
        if self._case and isinstance(self._pager, Pager):
            self._pager.standing.recheck()

    @workflow.signal
    async def wait_behind(self, message: Behind) -> None:
        """Tell another incident when this one is over: its pages wait for that."""
        if self._case is None or not self._case.incident.is_resolved:
            # It looks, and asks, again and again while it waits.
            if message.workflow_id not in self._behind:
                self._behind.append(message.workflow_id)
            return
        # It went by the record, which did not say yet that this one is over.
        await workflow.wait_condition(
            lambda: self._recorder.is_drained or self._successor is not None
        )
        await self._have_look_again(message.workflow_id)

    async def _have_look_again(self, workflow_id: str) -> None:
        """Have an incident look again whether its page may go."""
        # One that is over by now waits for nothing.
        with suppress(FailureError):
            await workflow.get_external_workflow_handle(workflow_id).signal("recheck")


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn the domain's refusals into ones that a validator may raise."""
    try:
        yield
    except HoldfastError as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error

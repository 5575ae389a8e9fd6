"""Owns IncidentWorkflow: one error from its first report until it is over."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.audit import SYSTEM, AuditEvent
    from holdfast.domain.incident import Incident, Resolution
    from holdfast.domain.notification import NotificationKind
    from holdfast.domain.recovery import RecoveryOutcome
    from holdfast.domain.report import ReportBatch
    from holdfast.errors import Conflict, HoldfastError, IncidentAlreadyResolved
    from workflows.case import Case
    from workflows.messages import (
        UI_USER,
        Acknowledge,
        CarriedIncident,
        IncidentInput,
        ReportAnswer,
        ReportReports,
        Resolve,
    )
    from workflows.pager import Pager
    from workflows.recorder import Recorder
    from workflows.recoverer import Recoverer
    from workflows.waiting import watch

# How many batches an incident remembers having counted, across its runs: a batch told a second
# time comes soon after the first or never.
_REMEMBERED_BATCHES = 200


@workflow.defn
class IncidentWorkflow:
    """Recovers one error, pages people when it can't, and ends when it is over.

    Its id names the error (service and fingerprint), so Temporal itself keeps there from being
    two incidents of one error. It opens with the first batch of reports that it is told.
    """

    @workflow.init
    def __init__(self, start: IncidentInput) -> None:
        self._recorder = Recorder(start.backlog)
        self._counted: list[str] = []
        self._successor: ReportReports | None = None
        self._case: Case | None = None
        if start.carried:
            self._resume(start.carried)
        elif start.successor:
            self._open(start.successor)

    @workflow.run
    async def run(self, _start: IncidentInput) -> None:
        """Wait for the first report; then recover and escalate, side by side, until it is over."""
        recording = asyncio.create_task(self._recorder.drain())
        await workflow.wait_condition(lambda: self._case is not None)
        case, pager, recoverer = self._desk()
        working = [
            asyncio.create_task(pager.climb()),
            asyncio.create_task(self._recover(case, recoverer)),
        ]
        try:
            await watch(
                [recording, *working],
                until=lambda: case.incident.is_resolved or self._must_continue(),
            )
        except asyncio.CancelledError:
            # "Cancel" in the Temporal UI is somebody's way to end it; the record must say so.
            self._resolve(Resolution.PERSON, by=UI_USER, note="the workflow was cancelled")
        for task in working:
            task.cancel()
        if not case.incident.is_resolved:
            await self._continue_open(case, pager)
        await self._close(pager, recoverer)
        recording.cancel()

    def _desk(self) -> tuple[Case, Pager, Recoverer]:
        if self._case is None:
            raise Conflict("the incident has not been reported yet")
        return self._case, self._pager, self._recoverer

    def _open(self, opening: ReportReports) -> None:
        incident = Incident.opened(opening.batch, opening.plan, at=workflow.now())
        self._take(Case(incident, opening.plan, recorder=self._recorder))
        self._counted.append(opening.batch.id)
        self._desk()[0].note(
            AuditEvent.INCIDENT_OPENED,
            f"{incident.title}: {incident.category}, {incident.severity} ({incident.reason})",
            detail={
                "reports": incident.report_count,
                "known_service": incident.known_service,
                "policy": incident.escalation.policy,
            },
        )
        if opening.plan.escalation is None:
            self._desk()[0].note(AuditEvent.ESCALATION_IMPOSSIBLE, incident.escalation.reason)

    def _resume(self, carried: CarriedIncident) -> None:
        case = Case(carried.incident, carried.plan, recorder=self._recorder)
        case.recovery_over = True
        case.ignored = carried.ignored
        self._take(case)
        self._pager.ladder = carried.ladder
        self._counted = list(carried.counted)

    def _take(self, case: Case) -> None:
        self._case = case
        self._pager = Pager(case)
        self._recoverer = Recoverer(case)

    async def _recover(self, case: Case, recoverer: Recoverer) -> None:
        how, note = await recoverer.recovered()
        # A person's resolution may arrive in the very activation that verified ours.
        if not case.incident.is_resolved:
            self._resolve(how, by=SYSTEM, note=note)

    def _resolve(self, how: Resolution, *, by: str, note: str | None) -> None:
        case, pager, _ = self._desk()
        case.note(
            AuditEvent.INCIDENT_RESOLVED,
            f"resolved by {by} ({how.value})" + (f": {note}" if note else ""),
            becomes=case.incident.resolved(how, by=by, at=workflow.now(), note=note),
            actor=by,
            detail={"resolution": how.value, "reports": case.incident.report_count},
        )
        pager.stop()

    def _must_continue(self) -> bool:
        """Whether the history is long and nothing is under way that a new run would lose."""
        case, pager, _ = self._desk()
        suggested = workflow.info().is_continue_as_new_suggested()
        return suggested and case.recovery_over and not pager.is_sending

    async def _continue_open(self, case: Case, pager: Pager) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        carried = CarriedIncident(
            incident=case.incident,
            plan=case.plan,
            ladder=pager.ladder,
            ignored=case.ignored,
            counted=tuple(self._counted[-_REMEMBERED_BATCHES:]),
        )
        workflow.continue_as_new(IncidentInput(carried=carried, backlog=self._recorder.backlog))

    async def _close(self, pager: Pager, recoverer: Recoverer) -> None:
        """Put back what was held, tell who was told, write the record; then end.

        Reports that come meanwhile open the next incident in a run of its own, at once, even while
        the database is away: what is not written yet goes along.
        """
        await recoverer.release()
        await pager.sent()
        pager.tell(NotificationKind.RESOLVED)
        await pager.sent()
        await workflow.wait_condition(
            lambda: self._recorder.is_drained or self._successor is not None
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._successor:
            workflow.continue_as_new(
                IncidentInput(successor=self._successor, backlog=self._recorder.backlog)
            )

    @workflow.update
    async def report(self, message: ReportReports) -> ReportAnswer:
        """Count a batch of reports, once however often it is told."""
        return self._count(message)

    @workflow.signal(name="report")
    def report_signal(self, message: ReportReports) -> None:
        """Count a batch of reports that could not be told by update: no worker was there."""
        self._count(message)

    def _count(self, message: ReportReports) -> ReportAnswer:
        batch = message.batch
        if self._case is None:
            self._open(message)
            return self._answer(repeat=False)
        if batch.id in self._counted:
            return self._answer(repeat=True)
        self._counted.append(batch.id)
        if self._case.incident.is_resolved:
            return self._count_for_successor(message)
        self._case.note(
            AuditEvent.INCIDENT_REPORTED,
            _times(batch),
            becomes=self._case.incident.with_reports(batch),
            detail={"count": batch.count, "batch": batch.id},
        )
        return self._answer(repeat=True)

    def _count_for_successor(self, message: ReportReports) -> ReportAnswer:
        if self._successor:
            folded = self._successor.batch.folded(message.batch)
            message = self._successor.model_copy(update={"batch": folded})
        repeat = self._successor is not None
        self._successor = message
        return ReportAnswer(
            incident_id=message.batch.id,
            status=Incident.opened(message.batch, message.plan, at=workflow.now()).status,
            report_count=message.batch.count,
            repeat=repeat,
        )

    def _answer(self, *, repeat: bool) -> ReportAnswer:
        incident = self._desk()[0].incident
        return ReportAnswer(
            incident_id=incident.id,
            status=incident.status,
            report_count=incident.report_count,
            repeat=repeat,
        )

    @workflow.update
    async def acknowledge(self, message: Acknowledge) -> Incident:
        """Take the incident: whatever page is due, or waits for another try, is given up."""
        case, pager, _ = self._desk()
        self._acknowledge(message)
        await pager.pages_stopped()
        return case.incident

    @acknowledge.validator
    def check_acknowledge(self, message: Acknowledge) -> None:
        """Refuse what would change nothing, and say who has it."""
        with _refusing():
            self._addressed(message.incident_id).acknowledged(message.by, at=workflow.now())

    @workflow.signal(name="acknowledge")
    def acknowledge_signal(self, message: Acknowledge) -> None:
        """Take the incident from the Temporal UI or its command line; too late changes nothing."""
        try:
            self._addressed(message.incident_id)
            self._acknowledge(message)
        except HoldfastError as error:
            workflow.logger.info("acknowledge was refused: %s", error)

    def _acknowledge(self, message: Acknowledge) -> None:
        case, pager, _ = self._desk()
        case.note(
            AuditEvent.INCIDENT_ACKNOWLEDGED,
            f"{message.by} has it",
            becomes=case.incident.acknowledged(message.by, at=workflow.now()),
            actor=message.by,
        )
        pager.stop()
        pager.tell(NotificationKind.ACKNOWLEDGED)

    @workflow.update
    async def resolve(self, message: Resolve) -> Incident:
        """End the incident."""
        self._resolve(Resolution.PERSON, by=message.by, note=message.note)
        return self._desk()[0].incident

    @resolve.validator
    def check_resolve(self, message: Resolve) -> None:
        """Refuse to end what is over."""
        with _refusing():
            self._addressed(message.incident_id).resolved(
                Resolution.PERSON, by=message.by, at=workflow.now()
            )

    def _addressed(self, incident_id: str | None) -> Incident:
        """The present incident, if it is the one that is meant."""
        incident = self._desk()[0].incident
        if incident_id not in {None, incident.id}:
            raise IncidentAlreadyResolved(f"incident {incident_id} is over")
        return incident

    @workflow.signal
    def recovered(self, outcome: RecoveryOutcome) -> None:
        """Take the answer of the service's recovery."""
        if self._case:
            self._recoverer.answered(outcome)

    @workflow.query
    def snapshot(self) -> Incident | None:
        """The incident as it is now; None before its first report."""
        return self._case.incident if self._case else None


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn the domain's refusals into ones that a validator may raise."""
    try:
        yield
    except HoldfastError as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error


def _times(batch: ReportBatch) -> str:
    return "reported again" if batch.count == 1 else f"reported {batch.count} more times"

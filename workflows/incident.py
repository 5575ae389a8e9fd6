"""Owns IncidentWorkflow: one error from its first report until it is over."""

import asyncio
from contextlib import suppress
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from holdfast.domain.audit import SYSTEM, AuditEvent
    from holdfast.domain.board import Board
    from holdfast.domain.incident import Incident
    from holdfast.domain.incident_status import Resolution
    from holdfast.domain.notification import NotificationKind
    from holdfast.domain.recovery import RecoveryOutcome
    from holdfast.domain.report import ReportBatch
    from workflows.boards import Boards
    from workflows.case import Case
    from workflows.deeds import Deeds
    from workflows.first_pager import FirstPager
    from workflows.messages import (
        UI_USER,
        CarriedIncident,
        IncidentInput,
        ReportAnswer,
        ReportReports,
    )
    from workflows.pager import Pager
    from workflows.recorder import Recorder
    from workflows.recoverer import Recoverer
    from workflows.waiting import watch

# How many batches an incident remembers having counted, across its runs: a batch told a second
# time comes soon after the first or never.
_REMEMBERED_BATCHES = 200


@workflow.defn
class IncidentWorkflow(Deeds):
    """Recovers one error, pages people when it can't, and ends when it is over.

    Its id names the error (service and fingerprint), so Temporal itself keeps there from being
    two incidents of one error. It opens with the first batch of reports that it is told.
    """

    @workflow.init
    def __init__(self, start: IncidentInput) -> None:
        self._recorder = Recorder(start.backlog)
        self._counted: list[str] = []
        self._successor: ReportReports | None = None
        self._behind: list[str] = []
        self._boards: Boards | None = None
        self._case: Case | None = None
        if start.carried:
            self._resume(start.carried)
        elif start.successor:
            self._open(start.successor, boards=start.boards)

    @workflow.run
    async def run(self, _start: IncidentInput) -> None:
        """Wait for the first report; then recover and escalate, side by side, until it is over."""
        recording = asyncio.create_task(self._recorder.drain())
        await workflow.wait_condition(lambda: self._case is not None)
        case = self._present()
        working = [
            asyncio.create_task(self._pager.climb()),
            asyncio.create_task(self._recover(case)),
        ]
        showing = [asyncio.create_task(self._boards.keep())] if self._boards else []
        try:
            await watch(
                [recording, *working, *showing],
                until=lambda: case.incident.is_resolved or self._must_continue(),
            )
        except asyncio.CancelledError:
            # "Cancel" in the Temporal UI is somebody's way to end it; the record must say so.
            self._resolve(Resolution.PERSON, by=UI_USER, note="the workflow was cancelled")
        for task in working:
            task.cancel()
        if not case.incident.is_resolved:
            await self._continue_open(case)
        await self._close()
        recording.cancel()

    def _open(self, opening: ReportReports, *, boards: tuple[Board, ...] = ()) -> None:
        incident = Incident.opened(opening.batch, opening.plan, at=workflow.now())
        case = Case(incident, opening.plan, recorder=self._recorder)
        self._counted.append(opening.batch.id)
        self._take(case, CarriedIncident(incident=incident, plan=opening.plan, boards=boards))
        case.note(
            AuditEvent.INCIDENT_OPENED,
            f"{incident.title}: {incident.category}, {incident.severity} ({incident.reason})",
            detail={
                "reports": incident.report_count,
                "known_service": incident.known_service,
                "policy": incident.escalation.policy,
            },
        )
        if opening.plan.escalation is None:
            case.note(AuditEvent.ESCALATION_IMPOSSIBLE, incident.escalation.reason)
        self._pager.counted(opening.batch.count)

    def _resume(self, carried: CarriedIncident) -> None:
        case = Case(carried.incident, carried.plan, recorder=self._recorder)
        case.recovery_over = True
        case.ignored = carried.ignored
        self._counted = list(carried.counted)
        self._behind = list(carried.behind)
        self._take(case, carried)

    def _take(self, case: Case, carried: CarriedIncident) -> None:
        self._case = case
        self._recoverer = Recoverer(case)
        if workflow.patched("escalation-in-the-domain"):
            self._boards = Boards(case, carried.boards)
            self._pager = Pager(
                case,
                self._boards,
                ladder=carried.present_ladder,
                tallies=carried.tallies,
                sent=carried.sent,
            )
        else:
            self._pager = FirstPager(case)
            self._pager.ladder = carried.ladder

    async def _recover(self, case: Case) -> None:
        how, note = await self._recoverer.recovered()
        # A person's resolution may arrive in the very activation that verified ours.
        if not case.incident.is_resolved:
            self._resolve(how, by=SYSTEM, note=note)

    def _must_continue(self) -> bool:
        """Whether the history is long and nothing is under way that a new run would lose."""
        suggested = workflow.info().is_continue_as_new_suggested()
        showing = self._boards is not None and self._boards.is_updating
        idle = self._present().recovery_over and not self._pager.is_sending and not showing
        return suggested and idle

    async def _continue_open(self, case: Case) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        escalation: dict[str, Any] = {}
        if isinstance(self._pager, FirstPager):
            escalation = {"ladder": self._pager.ladder}
        elif self._boards:
            escalation = {
                "climb": self._pager.standing.ladder,
                "tallies": self._pager.standing.rules.tallies,
                "boards": self._boards.carried,
                "sent": self._pager.messenger.sent,
            }
        carried = CarriedIncident(
            incident=case.incident,
            plan=case.plan,
            ignored=case.ignored,
            counted=tuple(self._counted[-_REMEMBERED_BATCHES:]),
            behind=tuple(self._behind),
            **escalation,
        )
        workflow.continue_as_new(IncidentInput(carried=carried, backlog=self._recorder.backlog))

    async def _close(self) -> None:
        """Put back what was held, tell who was told, write the record; then end.

        Reports that come meanwhile open the next incident in a run of its own, at once, even while
        the database is away: what is not written yet goes along.
        """
        await self._recoverer.release()
        await self._pager.sent()
        self._pager.tell(NotificationKind.RESOLVED)
        await self._tell_who_waits_behind()
        await self._pager.sent()
        await workflow.wait_condition(
            lambda: (self._recorder.is_drained and self._is_shown) or self._successor is not None
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._successor:
            workflow.continue_as_new(
                IncidentInput(
                    successor=self._successor,
                    boards=self._boards.left_over if self._boards else (),
                    backlog=self._recorder.backlog,
                )
            )

    @property
    def _is_shown(self) -> bool:
        return self._boards is None or self._boards.is_done

    async def _tell_who_waits_behind(self) -> None:
        """Have the incidents whose pages this one held back look again."""
        for workflow_id in self._behind:
            handle = workflow.get_external_workflow_handle(workflow_id)
            # One that is over by now waits for nothing.
            with suppress(FailureError):
                await handle.signal("recheck")

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
        self._pager.counted(batch.count)
        self._pager.reconsider()
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
        incident = self._present().incident
        return ReportAnswer(
            incident_id=incident.id,
            status=incident.status,
            report_count=incident.report_count,
            repeat=repeat,
        )

    @workflow.signal
    def recovered(self, outcome: RecoveryOutcome) -> None:
        """Take the answer of the service's recovery."""
        if self._case:
            self._recoverer.answered(outcome)

    @workflow.query
    def snapshot(self) -> Incident | None:
        """The incident as it is now; None before its first report."""
        return self._case.incident if self._case else None


def _times(batch: ReportBatch) -> str:
    return "reported again" if batch.count == 1 else f"reported {batch.count} more times"

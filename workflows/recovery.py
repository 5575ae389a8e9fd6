"""Owns RecoveryWorkflow: all actions on one service, one at a time."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.recover import RecoverActivities
    from holdfast.domain.audit import AuditEvent
    from holdfast.domain.markdown import recovery_markdown
    from holdfast.domain.model import Model, Name
    from holdfast.domain.recovery import (
        RecoveryOutcome,
        RecoveryRequest,
        RecoveryResult,
        RecoveryRun,
        RecoveryState,
        RecoveryStatus,
        Ticket,
    )
    from workflows.recorder import Backlog, Recorder
    from workflows.waiting import watch

_HEARTBEAT = timedelta(seconds=10)
_SLACK = timedelta(seconds=15)


class RecoveryInput(Model):
    """What a run starts with: a service, and what the run before left."""

    service: Name
    state: RecoveryState | None = None
    backlog: Backlog = Backlog()


@workflow.defn
class RecoveryWorkflow:
    """Takes requests for actions on one service and carries them out one after the other.

    Equal requests share one run, and automatic ones are held to the service's limit, so that
    recovery itself cannot become a storm.
    """

    @workflow.init
    def __init__(self, start: RecoveryInput) -> None:
        self._state = start.state or RecoveryState(service=start.service)
        self._recorder = Recorder(start.backlog)
        self._replies: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, start: RecoveryInput) -> None:
        """Carry out what waits, for as long as the service has errors."""
        recording = asyncio.create_task(self._recorder.drain())
        while not self._may_continue():
            await watch(
                [recording, *self._replies],
                until=lambda: bool(self._state.queue) or self._may_continue(),
            )
            if self._state.queue:
                await self._carry_out_next()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            RecoveryInput(service=start.service, state=self._state, backlog=self._recorder.backlog)
        )

    def _may_continue(self) -> bool:
        suggested = workflow.info().is_continue_as_new_suggested()
        return suggested and self._state.idle and not self._replies

    async def _carry_out_next(self) -> None:
        self._state, refusal = self._state.taken(workflow.now())
        run = self._state.running
        if run is None:
            return
        if refusal:
            self._finish(refusal, AuditEvent.RECOVERY_REFUSED)
        else:
            self._note(AuditEvent.RECOVERY_STARTED, f"{run.request.action_name} begins", run)
            self._finish(await self._perform(run), AuditEvent.RECOVERY_FINISHED)

    async def _perform(self, run: RecoveryRun) -> RecoveryResult:
        request = run.request
        patience = request.health.patience if request.health else timedelta(0)
        try:
            return await workflow.execute_activity_method(
                RecoverActivities.perform_recovery,
                run,
                start_to_close_timeout=request.timeout + max(patience, request.timeout) + _SLACK,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=RetryPolicy(maximum_attempts=5),
                summary=f"{request.action_name} of {request.service}",
            )
        except ActivityError as error:
            cause = error.cause
            reason = cause.message if isinstance(cause, ApplicationError) else str(cause or error)
            return RecoveryResult(status=RecoveryStatus.FAILED, reason=reason)

    def _finish(self, result: RecoveryResult, event: AuditEvent) -> None:
        self._state, run, outcomes = self._state.finished(result, at=workflow.now())
        summary = f"{run.request.action_name} {result.status}: {result.reason}"
        self._note(event, summary, run, result)
        for request, outcome in zip(run.requests, outcomes, strict=True):
            if request.reply_to:
                self._reply(request.reply_to, outcome)

    def _note(
        self,
        event: AuditEvent,
        summary: str,
        run: RecoveryRun,
        result: RecoveryResult | None = None,
    ) -> None:
        request = run.request
        self._recorder.note(
            event,
            summary,
            subject=self._state,
            incident_id=request.incident_id,
            actor=request.actor,
            detail={
                "action": request.action_name,
                "run": run.id,
                "asked_by": [each.incident_id or each.actor for each in run.requests],
                "result": result.model_dump(mode="json") if result else None,
            },
        )
        workflow.set_current_details(recovery_markdown(self._state))

    def _add(self, request: RecoveryRequest) -> Ticket:
        self._state, ticket = self._state.requested(request)
        return ticket

    def _reply(self, workflow_id: str, outcome: RecoveryOutcome) -> None:
        task = asyncio.create_task(_send_answer(workflow_id, outcome))
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    @workflow.signal
    def request(self, request: RecoveryRequest) -> None:
        """Ask for an action; the answer goes to ``reply_to``."""
        self._add(request)
        known = next((o for o in self._state.outcomes if o.request_id == request.id), None)
        if known and request.reply_to:
            self._reply(request.reply_to, known)

    @workflow.update
    def perform(self, request: RecoveryRequest) -> Ticket:
        """Ask for an action by hand; answers at once with the place in the queue."""
        ticket = self._add(request)
        self._recorder.note(
            AuditEvent.RECOVERY_REQUESTED,
            f"{request.actor} asks for {request.action_name}: {ticket.status}",
            subject=self._state,
            actor=request.actor,
            detail=ticket.model_dump(mode="json"),
        )
        return ticket

    @workflow.query
    def snapshot(self) -> RecoveryState:
        """What runs, what waits, and what was done lately."""
        return self._state


async def _send_answer(workflow_id: str, outcome: RecoveryOutcome) -> None:
    try:
        await workflow.get_external_workflow_handle(workflow_id).signal("recovered", outcome)
    except ApplicationError as error:
        # Nobody waits any more: the incident was resolved meanwhile.
        workflow.logger.info("%s took no answer: %s", workflow_id, error)

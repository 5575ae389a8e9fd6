"""Owns an incident's recovery: step by step, each attempt verified before it counts."""

from datetime import timedelta

from temporalio import workflow

from activities.coordinate import (
    CoordinateActivities,
    HoldBreaker,
    HoldDegradation,
    ReleaseHold,
)
from holdfast.domain.attempt import Attempt, AttemptStatus
from holdfast.domain.audit import AuditEvent
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold
from holdfast.domain.incident_status import Resolution
from holdfast.domain.recovery import RecoveryOutcome, RecoveryRequest, RecoveryStatus
from holdfast.domain.step_request import StepImpossible, request_of_step
from holdfast.domain.strategy import Step, StepKind
from workflows.case import Case
from workflows.waiting import until

_QUICK = timedelta(seconds=5)

# The service's recovery always answers; were its workflow terminated by hand, the incident must
# not wait for ever.
_PATIENCE = timedelta(minutes=15)

_EVENTS = {
    AttemptStatus.SUCCEEDED: AuditEvent.STEP_SUCCEEDED,
    AttemptStatus.FAILED: AuditEvent.STEP_FAILED,
    AttemptStatus.SKIPPED: AuditEvent.STEP_SKIPPED,
}


class Recoverer:
    """Carries an incident's strategy out, and lets go of what it held when the incident is over."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._outcomes: dict[str, RecoveryOutcome] = {}

    def answered(self, outcome: RecoveryOutcome) -> None:
        """Take the answer of the service's recovery to a request."""
        self._outcomes[outcome.request_id] = outcome

    async def recovered(self) -> tuple[Resolution, str]:
        """Try the strategy's steps; if none helps, wait for the error to have gone by itself.

        Returns:
            What ended the incident, and a few words about it.
        """
        if await self._recover():
            return Resolution.RECOVERED, f"{self._case.incident.attempts[-1].action} was verified"
        await self._wait_for_quiet()
        return Resolution.QUIET, "no report came any more"

    async def _wait_for_quiet(self) -> None:
        """Wait until no report came for long enough and the service is well."""
        quiet = self._case.plan.resolve_after_quiet
        not_before = self._case.incident.quiet_at(quiet)
        if workflow.patched("quiet-after-late-reports"):
            # What came late tells of long ago: whether the error stays away is seen from now on.
            not_before = self._case.incident.opened_at + quiet
        while True:
            wait = max(self._case.incident.quiet_at(quiet), not_before) - workflow.now()
            await until(lambda: False, within=wait, summary="quiet resolves the incident")
            if workflow.now() < self._case.incident.quiet_at(quiet):
                continue
            if await self._is_healthy():
                return
            not_before = workflow.now() + quiet

    async def _recover(self) -> bool:
        """Go through the strategy's steps until one is verified; whether one was."""
        case = self._case
        if case.recovery_over:
            return False
        for place, step in enumerate(case.plan.strategy):
            if step.step is StepKind.IGNORE:
                case.ignored = True
                break
            if step.step is StepKind.ESCALATE:
                break
            if await self._step(step, place=place):
                case.recovery_over = True
                return True
        case.recovery_over = True
        if not case.ignored:
            case.note(AuditEvent.RECOVERY_EXHAUSTED, self._why_exhausted())
        return False

    def _why_exhausted(self) -> str:
        if not self._case.incident.attempts:
            return "the strategy has no automatic step: a person is needed"
        return "every recovery step was tried and none helped: a person is needed"

    async def _step(self, step: Step, *, place: int) -> bool:
        for number in range(1, step.attempts + 1):
            if number > 1:
                drawn = workflow.random().random()
                delay = step.backoff.delay(number - 1, drawn=drawn)
                await workflow.sleep(delay, summary=f"before attempt {number} of {step.step}")
            status = await self._attempt(step, place=place, number=number)
            if status is not AttemptStatus.FAILED:
                return status is AttemptStatus.SUCCEEDED
        return False

    async def _attempt(self, step: Step, *, place: int, number: int) -> AttemptStatus:
        case = self._case
        attempt = Attempt(
            step=step.step,
            action=step.action_name,
            number=number,
            of=step.attempts,
            started_at=workflow.now(),
        )
        try:
            request = request_of_step(
                step, incident=case.incident, plan=case.plan, place=place, number=number
            )
        except StepImpossible as error:
            return self._ended(attempt, AttemptStatus.SKIPPED, str(error))
        if step.step is StepKind.DEGRADE and step.level > len(case.plan.service.degradation):
            reason = f"{case.incident.service} has no degradation level {step.level}"
            return self._ended(attempt, AttemptStatus.SKIPPED, reason)
        self._started(attempt)
        return await self._carry_out(step, attempt, request)

    async def _carry_out(
        self, step: Step, attempt: Attempt, request: RecoveryRequest | None
    ) -> AttemptStatus:
        await self._hold(step)
        done = "done"
        if request:
            outcome = await self._requested(request)
            if outcome.status is RecoveryStatus.REFUSED:
                return self._ended(attempt, AttemptStatus.SKIPPED, outcome.reason)
            if outcome.status is RecoveryStatus.FAILED:
                return self._ended(attempt, AttemptStatus.FAILED, outcome.reason)
            done = outcome.reason
        if not await self._settles(step):
            reason = f"{done}; but the error was reported again within {step.settle}"
            return self._ended(attempt, AttemptStatus.FAILED, reason)
        return self._ended(attempt, AttemptStatus.SUCCEEDED, done)

    async def _requested(self, request: RecoveryRequest) -> RecoveryOutcome:
        """Ask the service's recovery, and wait for its answer."""
        await workflow.execute_local_activity_method(
            CoordinateActivities.request_recovery,
            request,
            start_to_close_timeout=_QUICK,
            summary=f"ask for {request.action_name}",
        )
        answered = await until(
            lambda: request.id in self._outcomes,
            within=_PATIENCE + request.timeout,
            summary=f"waiting for {request.action_name} of {request.service}",
        )
        if answered:
            return self._outcomes.pop(request.id)
        return RecoveryOutcome(
            request_id=request.id,
            action_name=request.action_name,
            status=RecoveryStatus.FAILED,
            reason=f"the recovery of {request.service} gave no answer",
            finished_at=workflow.now(),
        )

    async def _settles(self, step: Step) -> bool:
        """Whether no report of the error happens for the step's settling time from now on."""
        since = workflow.now()
        return not await until(
            lambda: self._case.incident.last_report_at > since,
            within=step.settle,
            summary=f"settling after {step.action_name}",
        )

    async def _hold(self, step: Step) -> None:
        incident = self._case.incident
        hold = Hold(
            incident_id=incident.id,
            reason=f"incident {incident.id}: {incident.title}",
            since=workflow.now(),
            level=step.level,
        )
        match step.step:
            case StepKind.OPEN_BREAKER:
                rules = self._case.plan.service.breaker or BreakerRules()
                await workflow.execute_local_activity_method(
                    CoordinateActivities.hold_breaker,
                    HoldBreaker(service=incident.service, hold=hold, rules=rules),
                    start_to_close_timeout=_QUICK,
                    summary=f"open the breaker of {incident.service}",
                )
            case StepKind.DEGRADE:
                levels = self._case.plan.service.degradation
                await workflow.execute_local_activity_method(
                    CoordinateActivities.hold_degradation,
                    HoldDegradation(service=incident.service, hold=hold, levels=levels),
                    start_to_close_timeout=_QUICK,
                    summary=f"degrade {incident.service} to level {step.level}",
                )
            case _:
                return

    async def release(self) -> None:
        """Let go of all that the incident held: its end is the way back for everything."""
        incident = self._case.incident
        steps = {attempt.step for attempt in incident.attempts}
        message = ReleaseHold(service=incident.service, incident_id=incident.id)
        if StepKind.OPEN_BREAKER in steps:
            await workflow.execute_local_activity_method(
                CoordinateActivities.release_breaker,
                message,
                start_to_close_timeout=_QUICK,
                summary=f"let go of the breaker of {incident.service}",
            )
        if StepKind.DEGRADE in steps:
            await workflow.execute_local_activity_method(
                CoordinateActivities.release_degradation,
                message,
                start_to_close_timeout=_QUICK,
                summary=f"give {incident.service} its features back",
            )

    async def _is_healthy(self) -> bool:
        """Ask the service's health check, if it has one; a service without one counts as well."""
        health = self._case.plan.service.health
        if health is None:
            return True
        incident = self._case.incident
        request = RecoveryRequest(
            id=f"{incident.id}:quiet:{workflow.now().isoformat()}",
            service=incident.service,
            action_name="wait for health",
            health=health.rendered(incident.parameters),
            timeout=health.patience,
            incident_id=incident.id,
            reply_to=incident.workflow_id,
        )
        return (await self._requested(request)).status is RecoveryStatus.SUCCEEDED

    def _started(self, attempt: Attempt) -> None:
        self._case.note(
            AuditEvent.STEP_STARTED,
            f"{attempt.action} begins (attempt {attempt.number} of {attempt.of})",
            becomes=self._case.incident.recovering().attempting(attempt),
            detail=attempt.model_dump(mode="json"),
        )

    def _ended(self, attempt: Attempt, status: AttemptStatus, reason: str) -> AttemptStatus:
        ended = attempt.model_copy(
            update={"status": status, "reason": reason, "finished_at": workflow.now()}
        )
        self._case.note(
            _EVENTS[status],
            f"{attempt.action} {status}: {reason}",
            becomes=self._case.incident.attempting(ended),
            detail=ended.model_dump(mode="json"),
        )
        return status

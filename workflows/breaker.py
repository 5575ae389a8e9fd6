"""Owns CircuitBreakerWorkflow: the state of one service's circuit breaker."""

import asyncio

from pydantic import JsonValue
from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.coordinate import HoldBreaker, ReleaseHold
    from holdfast.domain.audit import SYSTEM, AuditEvent
    from holdfast.domain.breaker import BreakerStatus, CircuitBreaker, ModeHold
    from holdfast.domain.breaker_rules import BreakerRules
    from holdfast.domain.markdown import breaker_markdown
    from holdfast.domain.model import Model, Name
    from workflows.messages import (
        LeaseAnswers,
        LeaseRequests,
        ProbeResults,
        SetMode,
        TripBreaker,
    )
    from workflows.recorder import Backlog, Recorder
    from workflows.waiting import until, watch


class BreakerInput(Model):
    """What a run starts with: a service, and what the run before left."""

    service: Name
    breaker: CircuitBreaker | None = None
    backlog: Backlog = Backlog()


@workflow.defn
class CircuitBreakerWorkflow:
    """Keeps the breaker of a service's whole fleet: its state, its times, its leases, its modes.

    The monitor trips it, incidents hold it open, processes that call the service lease probe
    calls of it, operators set its modes. Its times are durable timers.
    """

    @workflow.init
    def __init__(self, start: BreakerInput) -> None:
        self._breaker = start.breaker or CircuitBreaker(service=start.service)
        self._recorder = Recorder(start.backlog)
        self._messages = 0
        self._is_new = False

    @workflow.run
    async def run(self, start: BreakerInput) -> None:
        """Do what comes due until the history is long, then go on in a new run."""
        self._show()
        recording = asyncio.create_task(self._recorder.drain())
        keeping = asyncio.create_task(self._keep_time())
        await watch([recording, keeping], until=workflow.info().is_continue_as_new_suggested)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            BreakerInput(
                service=start.service, breaker=self._breaker, backlog=self._recorder.backlog
            )
        )

    async def _keep_time(self) -> None:
        """Advance the breaker whenever it is due."""
        while True:
            await workflow.wait_condition(lambda: self._breaker.due_at is not None)
            await self._wait_until_due()
            self._advance()

    async def _wait_until_due(self) -> None:
        """Wait for the breaker's time, or for it to be another."""
        if due := self._breaker.due_at:
            await until(
                lambda: self._breaker.due_at != due,
                within=due - workflow.now(),
                summary=f"the breaker of {self._breaker.service} changes by itself",
            )

    @workflow.signal
    def hold(self, message: HoldBreaker) -> None:
        """Open the breaker until the hold is released."""
        self._take_message(message.rules)
        breaker = self._breaker.held(message.hold, at=workflow.now())
        self._change(breaker, incident_id=message.hold.incident_id, reason=message.hold.reason)

    @workflow.signal
    def release(self, message: ReleaseHold) -> None:
        """Let go of the breaker; when nobody holds it, probe calls show whether it may close."""
        self._take_message()
        breaker = self._breaker.released(message.incident_id, at=workflow.now())
        if breaker.status is BreakerStatus.HALF_OPEN and not self._is_new:
            closed = {"status": BreakerStatus.CLOSED, "idle_at": None}
            breaker = breaker.model_copy(update=closed)
        self._change(breaker, incident_id=message.incident_id, reason="the incident is over")

    @workflow.signal
    def trip(self, message: TripBreaker) -> None:
        """Open the breaker for a while: the calls of its present epoch go badly."""
        self._take_message(message.rules)
        if self._is_new:
            now, drawn = workflow.now(), workflow.random().random()
            breaker = self._breaker.tripped(
                message.reason, epoch=message.epoch, at=now, drawn=drawn
            )
            self._change(breaker)

    @workflow.signal
    def probed(self, message: ProbeResults) -> None:
        """Take how probe calls went."""
        self._take_message()
        if self._is_new:
            now, drawn = workflow.now(), workflow.random().random()
            self._change(self._breaker.probed(message.results, at=now, drawn=drawn))

    @workflow.update
    def lease(self, message: LeaseRequests) -> LeaseAnswers:
        """Give out the right to make probe calls, or refuse it."""
        self._take_message()
        breaker, leases = self._breaker.leased(message.requests, at=workflow.now())
        self._change(breaker)
        return LeaseAnswers(leases=leases, status=breaker.status, epoch=breaker.epoch)

    @workflow.update
    def set_mode(self, message: SetMode) -> CircuitBreaker:
        """Have an operator hold the status, or let the breaker decide again."""
        self._take_message(message.rules)
        now = workflow.now()
        if message.mode is None:
            reason = message.reason or f"{message.by} gave it back to itself"
            self._change(self._breaker.mode_ended(reason, at=now), actor=message.by, reason=reason)
        else:
            reason = message.reason or f"{message.by} wants it so"
            mode = ModeHold(by=message.by, reason=reason, since=now, until=message.until)
            self._change(self._breaker.set_mode(message.mode, mode), actor=message.by)
        return self._breaker

    @set_mode.validator
    def check_set_mode(self, message: SetMode) -> None:
        """Refuse what is no mode, and what would be over before it began."""
        if message.mode and not message.mode.is_mode:
            modes = ", ".join(status for status in BreakerStatus if status.is_mode)
            problem = f"{message.mode} is nothing to hold a breaker in; there are {modes}"
            raise ApplicationError(problem, type="InvalidInput", non_retryable=True)
        if message.mode and message.until and message.until <= workflow.now():
            problem = f"the mode would end at {message.until.isoformat()}, which is over already"
            raise ApplicationError(problem, type="InvalidInput", non_retryable=True)

    def _take_message(self, rules: BreakerRules | None = None) -> None:
        """Bring the breaker up to the present before a message changes it.

        The first message that a run of the first version gets from today's code makes it new: the
        numbers tell apart what it did before and what it does now.
        """
        self._messages += 1
        self._is_new = self._is_new or workflow.patched(f"breaker-probes-{self._messages}")
        self._advance()
        if rules:
            self._change(self._breaker.ruled(rules), reason="it has other rules")

    def _advance(self) -> None:
        self._change(self._breaker.advanced(workflow.now()))

    def _change(
        self,
        breaker: CircuitBreaker,
        *,
        actor: str = SYSTEM,
        incident_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Take a new state, and put it on the record if more than leases and rules are new."""
        before, self._breaker = self._breaker, breaker
        if _recorded(before) != _recorded(breaker):
            passing = f", {breaker.share:.0%} of calls pass" if breaker.share < 1 else ""
            self._recorder.note(
                AuditEvent.BREAKER_CHANGED,
                f"breaker of {breaker.service} {breaker.status}{passing}: "
                f"{reason or breaker.reason}",
                subject=breaker,
                incident_id=incident_id,
                actor=actor,
                detail=_detail(breaker),
            )
        if before != breaker:
            self._show()

    def _show(self) -> None:
        workflow.set_current_details(breaker_markdown(self._breaker))

    @workflow.query
    def snapshot(self) -> CircuitBreaker:
        """The breaker as it is now."""
        return self._breaker


def _recorded(breaker: CircuitBreaker) -> tuple[CircuitBreaker, float]:
    """What of a breaker is on the record: everything but leases and rules, and the share."""
    unrecorded = {"leases": (), "probes_passed": 0, "idle_at": None, "rules": BreakerRules()}
    return breaker.model_copy(update=unrecorded), breaker.share


def _detail(breaker: CircuitBreaker) -> dict[str, JsonValue]:
    until = breaker.mode.until if breaker.mode else None
    return {
        "status": breaker.status.value,
        "epoch": breaker.epoch,
        "share": breaker.share,
        "mode": breaker.status.value if breaker.mode else None,
        "until": until.isoformat() if until else None,
        "probes_at": breaker.probes_at.isoformat() if breaker.probes_at else None,
    }

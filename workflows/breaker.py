"""Owns CircuitBreakerWorkflow: the state of one service's circuit breaker."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.coordinate import HoldBreaker, ReleaseHold
    from holdfast.domain.audit import AuditEvent
    from holdfast.domain.breaker import CircuitBreaker
    from holdfast.domain.markdown import breaker_markdown
    from holdfast.domain.model import Model, Name
    from workflows.recorder import Backlog, Recorder
    from workflows.waiting import watch


class BreakerInput(Model):
    """What a run starts with: a service, and what the run before left."""

    service: Name
    breaker: CircuitBreaker | None = None
    backlog: Backlog = Backlog()


@workflow.defn
class CircuitBreakerWorkflow:
    """Keeps a service's breaker open for as long as an incident holds it."""

    @workflow.init
    def __init__(self, start: BreakerInput) -> None:
        self._breaker = start.breaker or CircuitBreaker(service=start.service)
        self._recorder = Recorder(start.backlog)

    @workflow.run
    async def run(self, start: BreakerInput) -> None:
        """Record changes until the history is long, then go on in a new run."""
        recording = asyncio.create_task(self._recorder.drain())
        await watch([recording], until=workflow.info().is_continue_as_new_suggested)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            BreakerInput(
                service=start.service, breaker=self._breaker, backlog=self._recorder.backlog
            )
        )

    @workflow.signal
    def hold(self, message: HoldBreaker) -> None:
        """Open the breaker until the hold is released."""
        breaker = self._breaker.held(message.hold, at=workflow.now())
        self._change(breaker, incident_id=message.hold.incident_id, reason=message.hold.reason)

    @workflow.signal
    def release(self, message: ReleaseHold) -> None:
        """Let go of the breaker; it closes when nobody holds it."""
        breaker = self._breaker.released(message.incident_id, at=workflow.now())
        self._change(breaker, incident_id=message.incident_id, reason="the incident is over")

    def _change(self, breaker: CircuitBreaker, *, incident_id: str, reason: str) -> None:
        if breaker == self._breaker:
            return
        self._breaker = breaker
        self._recorder.note(
            AuditEvent.BREAKER_CHANGED,
            f"breaker of {breaker.service} {breaker.status}: {reason}",
            subject=breaker,
            incident_id=incident_id,
            detail={"status": breaker.status.value, "epoch": breaker.epoch},
        )
        workflow.set_current_details(breaker_markdown(breaker))

    @workflow.query
    def snapshot(self) -> CircuitBreaker:
        """The breaker as it is now."""
        return self._breaker

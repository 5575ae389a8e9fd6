"""Workflows as the first version had them: those of today must take theirs over in the middle."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.coordinate import HoldBreaker, ReleaseHold
    from holdfast.domain.audit import AuditEvent
    from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
    from holdfast.domain.holds import held, released
    from workflows.breaker import BreakerInput
    from workflows.case import Case
    from workflows.first_pager import FirstPager
    from workflows.incident import IncidentWorkflow
    from workflows.messages import CarriedIncident, IncidentInput
    from workflows.recorder import Recorder
    from workflows.recoverer import Recoverer
    from workflows.waiting import watch


@workflow.defn(name="IncidentWorkflow")
class FirstIncidentWorkflow(IncidentWorkflow):
    """An incident before escalation came into the domain."""

    @workflow.init
    def __init__(self, start: IncidentInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: IncidentInput) -> None:
        await super().run(start)

    def _take(self, case: Case, carried: CarriedIncident) -> None:
        self._case = case
        self._recoverer = Recoverer(case)
        self._pager = FirstPager(case)
        self._pager.ladder = carried.ladder


@workflow.defn(name="CircuitBreakerWorkflow")
class FirstCircuitBreakerWorkflow:
    """A breaker before there were probes: open while an incident holds it, and closed else."""

    @workflow.init
    def __init__(self, start: BreakerInput) -> None:
        self._breaker = start.breaker or CircuitBreaker(service=start.service)
        self._recorder = Recorder(start.backlog)

    @workflow.run
    async def run(self, _start: BreakerInput) -> None:
        recording = asyncio.create_task(self._recorder.drain())
        await watch([recording], until=workflow.info().is_continue_as_new_suggested)

    @workflow.signal
    def hold(self, message: HoldBreaker) -> None:
        holds = held(self._breaker.holds, message.hold)
        self._change({"holds": holds, "status": BreakerStatus.OPEN})

    @workflow.signal
    def release(self, message: ReleaseHold) -> None:
        holds = released(self._breaker.holds, message.incident_id)
        status = BreakerStatus.OPEN if holds else BreakerStatus.CLOSED
        self._change({"holds": holds, "status": status})

    def _change(self, update: dict[str, object]) -> None:
        if update["status"] is not self._breaker.status:
            update |= {"epoch": self._breaker.epoch + 1, "since": workflow.now()}
        self._breaker = self._breaker.model_copy(update=update)
        self._recorder.note(AuditEvent.BREAKER_CHANGED, "changed", subject=self._breaker)

    @workflow.query
    def snapshot(self) -> CircuitBreaker:
        return self._breaker

"""Owns DegradationWorkflow: how far one service is degraded."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.coordinate import HoldDegradation, ReleaseHold
    from holdfast.domain.audit import AuditEvent
    from holdfast.domain.degradation import Degradation
    from holdfast.domain.markdown import degradation_markdown
    from holdfast.domain.model import Model, Name
    from workflows.recorder import Backlog, Recorder
    from workflows.waiting import watch


class DegradationInput(Model):
    """What a run starts with: a service, and what the run before left."""

    service: Name
    degradation: Degradation | None = None
    backlog: Backlog = Backlog()


@workflow.defn
class DegradationWorkflow:
    """Keeps a service at the deepest level that an open incident asks for."""

    @workflow.init
    def __init__(self, start: DegradationInput) -> None:
        self._degradation = start.degradation or Degradation(service=start.service)
        self._recorder = Recorder(start.backlog)

    @workflow.run
    async def run(self, start: DegradationInput) -> None:
        """Record changes until the history is long, then go on in a new run."""
        recording = asyncio.create_task(self._recorder.drain())
        await watch([recording], until=workflow.info().is_continue_as_new_suggested)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            DegradationInput(
                service=start.service,
                degradation=self._degradation,
                backlog=self._recorder.backlog,
            )
        )

    @workflow.signal
    def hold(self, message: HoldDegradation) -> None:
        """Degrade the service until the hold is released."""
        changed = self._degradation.held(message.hold, levels=message.levels, at=workflow.now())
        self._change(changed, incident_id=message.hold.incident_id, reason=message.hold.reason)

    @workflow.signal
    def release(self, message: ReleaseHold) -> None:
        """Let go; the service returns to the deepest level that others hold."""
        changed = self._degradation.released(message.incident_id, at=workflow.now())
        self._change(changed, incident_id=message.incident_id, reason="the incident is over")

    def _change(self, degradation: Degradation, *, incident_id: str, reason: str) -> None:
        if degradation == self._degradation:
            return
        self._degradation = degradation
        self._recorder.note(
            AuditEvent.DEGRADATION_CHANGED,
            f"{degradation.service} at degradation level {degradation.level}: {reason}",
            subject=degradation,
            incident_id=incident_id,
            detail={
                "level": degradation.level,
                "features_off": list(degradation.features_off),
            },
        )
        workflow.set_current_details(degradation_markdown(degradation))

    @workflow.query
    def snapshot(self) -> Degradation:
        """How far the service is degraded now."""
        return self._degradation

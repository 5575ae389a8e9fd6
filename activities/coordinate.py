"""Owns the word that one workflow sends another which may not have been started yet.

Only a client can signal-with-start, so that is an activity; being quick and harmless to repeat
(the receivers know requests and holds by their ids), workflows run these locally. The receiving
workflows are named by their types: an activity stands below the workflows.
"""

from dataclasses import dataclass

from temporalio import activity
from temporalio.client import Client

from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.degradation import DegradationLevel
from holdfast.domain.holds import Hold
from holdfast.domain.model import Model, Name
from holdfast.domain.recovery import RecoveryRequest


class HoldBreaker(Model):
    """An incident wants a service's breaker open.

    Attributes:
        rules: The service's, as the incident's plan pinned them; None where an incident of the
            first version asks.
    """

    service: Name
    hold: Hold
    rules: BreakerRules | None = None


class HoldDegradation(Model):
    """An incident wants a service degraded."""

    service: Name
    hold: Hold
    levels: tuple[DegradationLevel, ...]


class ReleaseHold(Model):
    """An incident lets go of a service's breaker or degradation."""

    service: Name
    incident_id: str


class EntityInput(Model):
    """What an entity workflow is started with."""

    service: Name


@dataclass(frozen=True)
class CoordinateActivities:
    """Signals a service's entities, starting them where they don't run yet."""

    client: Client
    task_queue: str

    @activity.defn
    async def request_recovery(self, request: RecoveryRequest) -> None:
        """Ask a service's recovery for an action; its answer comes as a signal."""
        await self._tell("recovery", "RecoveryWorkflow", request.service, "request", request)

    @activity.defn
    async def hold_breaker(self, message: HoldBreaker) -> None:
        """Open a service's breaker until the hold is released."""
        await self._tell("breaker", "CircuitBreakerWorkflow", message.service, "hold", message)

    @activity.defn
    async def release_breaker(self, message: ReleaseHold) -> None:
        """Let go of a service's breaker."""
        await self._tell("breaker", "CircuitBreakerWorkflow", message.service, "release", message)

    @activity.defn
    async def hold_degradation(self, message: HoldDegradation) -> None:
        """Degrade a service until the hold is released."""
        await self._tell("degradation", "DegradationWorkflow", message.service, "hold", message)

    @activity.defn
    async def release_degradation(self, message: ReleaseHold) -> None:
        """Let go of a service's degradation."""
        await self._tell("degradation", "DegradationWorkflow", message.service, "release", message)

    async def _tell(
        self, kind: str, workflow: str, service: str, signal: str, message: Model
    ) -> None:
        await self.client.start_workflow(
            workflow,
            EntityInput(service=service),
            id=f"{kind}:{service}",
            task_queue=self.task_queue,
            start_signal=signal,
            start_signal_args=[message],
            static_summary=f"{kind} of {service}",
        )

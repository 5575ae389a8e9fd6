"""A breaker's workflow on a server whose time passes when a test says so."""

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.coordinate import HoldBreaker, ReleaseHold
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.outcome import ProbeResult
from holdfast.domain.strategy import Backoff
from tests.workflows.night import settled
from tests.workflows.world import World, until
from workflows.breaker import BreakerInput, CircuitBreakerWorkflow
from workflows.messages import LeaseRequests, ProbeResults, SetMode, TripBreaker

SECOND = timedelta(seconds=1)
RULES = BreakerRules(open_for=Backoff(initial=60 * SECOND, maximum=600 * SECOND), leases=2)


class Watched:
    """A breaker whose time stands still until it is told to pass.

    Args:
        world: What it acts on.
        service: Whose it is.
        env: Where time is skipped; None where a minute is a minute.
    """

    def __init__(
        self, world: World, service: str, *, env: WorkflowEnvironment | None = None
    ) -> None:
        self.service = service
        self.world = world
        self._env = env
        self.handle: WorkflowHandle[Any, Any] = world.client.get_workflow_handle(
            f"breaker:{service}"
        )

    async def hears(self, signal: str, message: Any) -> None:
        with self._standing_still():
            await self.world.client.start_workflow(
                CircuitBreakerWorkflow.run,
                BreakerInput(service=self.service),
                id=f"breaker:{self.service}",
                task_queue=self.world.task_queue,
                start_signal=signal,
                start_signal_args=[message],
            )

    def _standing_still(self) -> AbstractContextManager[None]:
        return self._env.with_time_skipping_disabled() if self._env else nullcontext()

    async def trips(self, *, epoch: int = 0, rules: BreakerRules = RULES) -> None:
        message = TripBreaker(service=self.service, epoch=epoch, reason="it failed", rules=rules)
        await self.hears("trip", message)

    async def is_held(self, incident: str = "i-1") -> None:
        hold = Hold(incident_id=incident, reason="why", since=datetime.now(UTC))
        await self.hears("hold", HoldBreaker(service=self.service, hold=hold, rules=RULES))

    async def is_released(self, incident: str = "i-1") -> None:
        await self.hears("release", ReleaseHold(service=self.service, incident_id=incident))

    async def leases(self, *leases: str, epoch: int) -> list[bool]:
        requests = tuple(
            LeaseRequest(lease_id=each, reporter=f"of-{each}", epoch=epoch) for each in leases
        )
        answer = await self.handle.execute_update(
            CircuitBreakerWorkflow.lease, LeaseRequests(requests=requests)
        )
        return [lease is not None for lease in answer.leases]

    async def probed(self, *leases: str, epoch: int, passed: bool = True) -> None:
        results = tuple(
            ProbeResult(service=self.service, epoch=epoch, lease_id=each, passed=passed)
            for each in leases
        )
        await self.hears("probed", ProbeResults(results=results))

    async def mode(self, mode: BreakerStatus | None, **fields: Any) -> CircuitBreaker:
        message = SetMode(service=self.service, mode=mode, by="ada", rules=RULES, **fields)
        with self._standing_still():
            operation = WithStartWorkflowOperation(
                CircuitBreakerWorkflow.run,
                BreakerInput(service=self.service),
                id=f"breaker:{self.service}",
                task_queue=self.world.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
            return await self.world.client.execute_update_with_start_workflow(
                CircuitBreakerWorkflow.set_mode, message, start_workflow_operation=operation
            )

    async def refuses(self, mode: BreakerStatus, **fields: Any) -> str:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await self.mode(mode, **fields)
        cause = refused.value.cause
        assert isinstance(cause, ApplicationError)
        return f"{cause.type}: {cause.message}"

    async def passes(self, duration: timedelta) -> CircuitBreaker:
        await settled(self.handle)
        assert self._env
        await self._env.fast_forward(self.handle, duration)
        await settled(self.handle)
        return await self.state()

    async def state(self) -> CircuitBreaker:
        return await self.handle.query(CircuitBreakerWorkflow.snapshot)

    async def run(self) -> str:
        return (await self.handle.describe()).run_id

    async def details(self) -> str:
        answer = await self.handle.query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        return answer.current_details

    async def recorded(self, count: int) -> list[tuple[str, str]]:
        """Who did what, once so much is on the record."""
        await until(lambda: len(self.world.entries) >= count)
        entries = sorted(self.world.entries.values(), key=lambda each: (each.at, each.sequence))
        assert all(entry.event == "breaker.changed" for entry in entries)
        return [(entry.actor, entry.summary.partition(f"{self.service} ")[2]) for entry in entries]

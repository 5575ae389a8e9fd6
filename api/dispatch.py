"""Owns the way of reports from the intake to their incidents, one batch at a time per fingerprint.

While a batch of a fingerprint is on its way, what arrives meanwhile waits in the intake table and
leaves together as the next batch. So a storm of one error costs Temporal a few updates a second,
and the count stays exact.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from api.temporal import forget
from config import search_attributes
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.policy import Plan, Policy
from holdfast.domain.report import ReportBatch
from holdfast.errors import Unavailable
from storage.intake import Intake
from workflows.incident import IncidentWorkflow
from workflows.messages import IncidentInput, ReportAnswer, ReportReports

log = structlog.get_logger(__name__)

# How long a row is its process's own; then any process may send its batch, the same one.
LEASE = timedelta(seconds=5)

# Without a worker an update blocks; the row stays and is tried again.
_PATIENCE = timedelta(seconds=2)
_SWEEP_EVERY = 1.0
_SWEEP_AT_MOST = 100
# Of a long outage there are many: each statement has to end in time.
_FORGOTTEN_AT_ONCE = 5000

# Past this many starts side by side, Temporal's answers only grow slower.
_AT_ONCE = 16
_REMEMBERED = 10_000


@dataclass
class _Lane:
    """One fingerprint's way: batches ready to go, and whether more wait in the intake."""

    ready: deque[ReportBatch] = field(default_factory=deque)
    more: bool = False
    task: asyncio.Task[None] | None = None


class Dispatcher:
    """Tells incidents of their reports.

    Args:
        client: Temporal's client.
        intake: The durable intake that batches come from and are settled in.
        policy: Gives the active policy.
        task_queue: Where incident workflows run.
    """

    def __init__(
        self, *, client: Client, intake: Intake, policy: Callable[[], Policy], task_queue: str
    ) -> None:
        self._client = client
        self._intake = intake
        self._policy = policy
        self._task_queue = task_queue
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._lanes: dict[str, _Lane] = {}
        self._answers: OrderedDict[str, ReportAnswer] = OrderedDict()
        self._sweeper: asyncio.Task[None] | None = None
        self._told_directly: list[str] = []

    async def start(self) -> None:
        """Begin to look for batches that were left behind, by this process or another."""
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Stop; what was not told stays in the intake for the next process."""
        lanes = [lane.task for lane in self._lanes.values()]
        tasks = [task for task in (*lanes, self._sweeper) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def is_busy(self, workflow_id: str) -> bool:
        """Whether a batch of the fingerprint is on its way."""
        return workflow_id in self._lanes

    def known(self, workflow_id: str) -> ReportAnswer | None:
        """The fingerprint's latest answer."""
        return self._answers.get(workflow_id)

    def send(self, batch: ReportBatch) -> None:
        """Put a batch that is safe in the intake on its way, behind those of its fingerprint."""
        self._lane(batch.workflow_id).ready.append(batch)

    def follow(self, workflow_id: str) -> None:
        """Have what waits in the intake for a fingerprint gathered and sent when its turn comes."""
        self._lane(workflow_id).more = True

    def _lane(self, workflow_id: str) -> _Lane:
        lane = self._lanes.get(workflow_id)
        if lane is None:
            lane = self._lanes[workflow_id] = _Lane()
            lane.task = asyncio.create_task(self._drive(workflow_id, lane))
        return lane

    async def settled(self, workflow_id: str, *, within: timedelta) -> None:
        """Wait until nothing of the fingerprint is on its way, at most so long."""
        lane = self._lanes.get(workflow_id)
        if lane and lane.task:
            await asyncio.wait([lane.task], timeout=within.total_seconds())

    async def _drive(self, workflow_id: str, lane: _Lane) -> None:
        """Send a fingerprint's batches one after the other, until none is left."""
        try:
            while batch := await self._next(workflow_id, lane):
                await self.tell(batch)
                await self._intake.settle([batch.id])
        except Unavailable as error:
            # The rows stay; the sweep sends them when their lease has passed.
            log.warning("reports wait in the intake", workflow=workflow_id, why=str(error))
        finally:
            # With no await since the last look for work, nothing can have been put into a lane
            # that is taken away here.
            del self._lanes[workflow_id]

    async def _next(self, workflow_id: str, lane: _Lane) -> ReportBatch | None:
        if lane.ready:
            return lane.ready.popleft()
        while lane.more:
            lane.more = False
            if batch := await self._intake.gather(workflow_id, lease=LEASE):
                return batch
        return lane.ready.popleft() if lane.ready else None

    async def tell(self, batch: ReportBatch) -> ReportAnswer:
        """Tell an incident of a batch by update-with-start; telling it twice counts once.

        Raises:
            Unavailable: If Temporal or its workers gave no answer in time.
        """
        operation = self._start_operation(batch, plan := self._plan(batch))
        try:
            async with self._places:
                answer = await self._client.execute_update_with_start_workflow(
                    IncidentWorkflow.report,
                    ReportReports(batch=batch, plan=plan),
                    start_workflow_operation=operation,
                    id=batch.id,
                    rpc_timeout=_PATIENCE,
                )
        except (RPCError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError) as e:
            await forget(operation)
            raise Unavailable(f"no incident took the reports: {e}") from e
        self._remember(batch.workflow_id, answer)
        return answer

    async def tell_directly(self, batch: ReportBatch) -> None:
        """Tell an incident of a batch that the intake could not take.

        Whether the intake really has not got it is uncertain: a commit's answer can be lost. So
        the intake is told to forget it before anything is taken over from there.

        Raises:
            Unavailable: If Temporal can't be reached.
        """
        try:
            await self.tell(batch)
        except Unavailable:
            await self._signal(batch)
        self._told_directly.append(batch.id)

    async def _forget_told(self) -> None:
        while told := self._told_directly[:_FORGOTTEN_AT_ONCE]:
            await self._intake.forget(told)
            del self._told_directly[: len(told)]

    async def _signal(self, batch: ReportBatch) -> None:
        """Tell an incident of a batch by signal-with-start, which is durable without a worker.

        Raises:
            Unavailable: If Temporal can't be reached.
        """
        plan = self._plan(batch)
        try:
            await self._client.start_workflow(
                IncidentWorkflow.run,
                IncidentInput(),
                id=batch.workflow_id,
                task_queue=self._task_queue,
                search_attributes=_attributes(batch, plan),
                static_summary=_summary(batch),
                start_signal="report",
                start_signal_args=[ReportReports(batch=batch, plan=plan)],
                rpc_timeout=_PATIENCE,
            )
        except RPCError as error:
            raise Unavailable(f"Temporal did not take the reports: {error}") from error

    def _plan(self, batch: ReportBatch) -> Plan:
        return self._policy().plan(batch.sample, at=datetime.now(UTC))

    def _start_operation(
        self, batch: ReportBatch, plan: Plan
    ) -> WithStartWorkflowOperation[IncidentWorkflow, None]:
        return WithStartWorkflowOperation(
            IncidentWorkflow.run,
            IncidentInput(),
            id=batch.workflow_id,
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=_attributes(batch, plan),
            static_summary=_summary(batch),
        )

    def _remember(self, workflow_id: str, answer: ReportAnswer) -> None:
        self._answers[workflow_id] = answer
        self._answers.move_to_end(workflow_id)
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)

    async def _sweep(self) -> None:
        """Send what a crash or an outage left in the intake, whoever took it."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            try:
                await self._forget_told()
                for batch in await self._intake.abandoned(limit=_SWEEP_AT_MOST, lease=LEASE):
                    if not self.is_busy(batch.workflow_id):
                        self.send(batch)
            except Exception as error:  # noqa: BLE001  # the task's edge: the next may go well
                log.info("the intake can't be swept", why=repr(error))


def _summary(batch: ReportBatch) -> str:
    return f"{batch.sample.service}: {batch.sample.error_type}"


def _attributes(batch: ReportBatch, plan: Plan) -> TypedSearchAttributes:
    values = {
        search_attributes.INCIDENT: batch.id,
        search_attributes.SERVICE: batch.sample.service,
        search_attributes.CATEGORY: plan.classification.category,
        search_attributes.SEVERITY: plan.classification.severity.value,
        search_attributes.STATUS: IncidentStatus.TRIGGERED.value,
    }
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in values.items()])

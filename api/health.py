"""Owns the judgement whether Holdfast works: whether reports can be taken and worked on."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from time import monotonic
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from api.temporal import asking
from holdfast.errors import Unavailable
from storage.database import ping
from storage.presence import ALIVE_WITHIN
from storage.processes import Processes, ProcessKind

_PATIENCE: Final = timedelta(seconds=2)
_KEPT: Final = timedelta(seconds=1)
# A worker asks for tasks at least once a minute; Temporal keeps those in mind that no longer do.
_POLLED_WITHIN: Final = timedelta(seconds=75)


class PartStatus(StrEnum):
    """Whether a part works."""

    UP = "up"
    DOWN = "down"


class PublicPart(BaseModel):
    """One of the parts that Holdfast needs, as anybody may see it."""

    model_config = ConfigDict(from_attributes=True)

    status: PartStatus = Field(description="Whether it works.")
    latency_ms: float = Field(description="How long it took to find out.", examples=[1.8])


class Part(PublicPart):
    """One of the parts that Holdfast needs."""

    detail: str | None = Field(
        None,
        description="Why it does not work, or how that is known.",
        examples=["PostgreSQL cannot be reached: [Errno 111] Connection refused"],
    )


class HealthStatus(StrEnum):
    """How well Holdfast works.

    ``degraded``: reports are taken and worked on, but the record has to wait for PostgreSQL.
    """

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class PublicHealth(BaseModel):
    """Whether Holdfast works; what is wrong with a part is for those with a key to see."""

    model_config = ConfigDict(from_attributes=True)

    status: HealthStatus = Field(
        description="healthy: all parts work; degraded: reports are taken and worked on, but the "
        "record waits for PostgreSQL; unhealthy: reports are not worked on."
    )
    checked_at: AwareDatetime = Field(description="When it was found out.")
    postgres: PublicPart = Field(description="The database: the record, the intake, the keys.")
    temporal: PublicPart = Field(description="The workflow server: all that is under way.")
    worker: PublicPart = Field(description="Whether a worker carries workflows out.")


class Health(PublicHealth):
    """Whether Holdfast works, and what is wrong if it does not."""

    postgres: Part = Field(description="The database: the record, the intake, the keys.")
    temporal: Part = Field(description="The workflow server: all that is under way.")
    worker: Part = Field(description="Whether a worker carries workflows out.")

    @property
    def is_working(self) -> bool:
        """Whether reports are taken and worked on."""
        return self.status is not HealthStatus.UNHEALTHY


class HealthProbe:
    """Asks all parts at once, and keeps the answer for a second.

    Args:
        engine: PostgreSQL.
        client: Temporal.
        task_queue: What workers serve.
    """

    def __init__(self, *, engine: AsyncEngine, client: Client, task_queue: str) -> None:
        self._engine = engine
        self._client = client
        self._task_queue = task_queue
        self._asking = asyncio.Lock()
        self._kept: tuple[float, Health] | None = None

    async def health(self) -> Health:
        """How well Holdfast works; never raises."""
        async with self._asking:
            if self._kept and monotonic() - self._kept[0] < _KEPT.total_seconds():
                return self._kept[1]
            health = await self._ask()
            self._kept = monotonic(), health
            return health

    async def _ask(self) -> Health:
        postgres, temporal, worker = await asyncio.gather(
            _probe(self._ask_postgres), _probe(self._ask_temporal), _probe(self._ask_worker)
        )
        if PartStatus.DOWN in (temporal.status, worker.status):
            status = HealthStatus.UNHEALTHY
        elif postgres.status is PartStatus.DOWN:
            status = HealthStatus.DEGRADED
        else:
            status = HealthStatus.HEALTHY
        return Health(
            status=status,
            checked_at=datetime.now(UTC),
            postgres=postgres,
            temporal=temporal,
            worker=worker,
        )

    async def _ask_postgres(self) -> None:
        await ping(self._engine)

    async def _ask_temporal(self) -> None:
        with asking("its health check"):
            await self._client.service_client.check_health(timeout=_PATIENCE)

    async def _ask_worker(self) -> str:
        """Find a worker by its heartbeat, or while PostgreSQL is away by what Temporal knows."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds() / 2):
                alive = await Processes(self._engine).alive(ALIVE_WITHIN)
        except (TimeoutError, Unavailable):
            return await self._ask_for_pollers()
        workers = [each for each in alive if each.kind is ProcessKind.WORKER]
        if not workers:
            raise Unavailable("no worker gave a heartbeat lately; start one: python -m worker")
        return f"{len(workers)} with a heartbeat"

    async def _ask_for_pollers(self) -> str:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        with asking(f"the task queue {self._task_queue}"):
            described = await self._client.workflow_service.describe_task_queue(
                request, timeout=_PATIENCE
            )
        latest = datetime.now(UTC) - _POLLED_WITHIN
        pollers = [
            each
            for each in described.pollers
            if each.last_access_time.ToDatetime(tzinfo=UTC) >= latest
        ]
        if not pollers:
            raise Unavailable(f"nobody asks Temporal for work on the queue {self._task_queue}")
        return f"{len(pollers)} known to Temporal"


async def _probe(ask: Callable[[], Awaitable[str | None]]) -> Part:
    """Ask one part, at most two seconds."""
    began = monotonic()
    status, detail = PartStatus.UP, None
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            detail = await ask()
    except TimeoutError:
        status, detail = PartStatus.DOWN, f"no answer within {_PATIENCE.total_seconds():g} s"
    except Exception as error:  # noqa: BLE001  # health's edge: whatever is wrong is the answer
        status, detail = PartStatus.DOWN, str(error)
    return Part(status=status, latency_ms=round((monotonic() - began) * 1000, 1), detail=detail)

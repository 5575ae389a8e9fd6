"""The workflows of a user of Holdfast, on their own task queue."""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError


@activity.defn
async def move_stream(stream: str) -> None:
    raise ApplicationError(f"no encoder is free for {stream}", non_retryable=True)


@workflow.defn
class MoveStream:
    @workflow.run
    async def run(self, request: dict[str, str]) -> dict[str, str]:
        return {"moved": request["stream"], "run": workflow.info().run_id}


@workflow.defn
class MoveNothing:
    @workflow.run
    async def run(self) -> None:
        return


@workflow.defn
class MoveInVain:
    @workflow.run
    async def run(self, request: dict[str, str]) -> None:
        await workflow.execute_activity(
            move_stream,
            request["stream"],
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@workflow.defn
class MoveOnSignal:
    def __init__(self) -> None:
        self._go = asyncio.Event()

    @workflow.signal
    def go(self) -> None:
        self._go.set()

    @workflow.run
    async def run(self) -> str:
        await self._go.wait()
        return "moved at last"

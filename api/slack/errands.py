"""Owns the work that may outlast the request that asked for it."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

# A moment for what is under way when the process ends: uvicorn gives requests about as long.
_LAST_MOMENT: Final = timedelta(milliseconds=500)


class Errands:
    """Keeps hold of every task, so that none is lost on its way and none outlives the process.

    Args:
        patience: How long whoever asks waits for one.
    """

    def __init__(self, *, patience: timedelta) -> None:
        self._patience = patience
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Set to work without waiting."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def is_done(self, task: asyncio.Task[Any]) -> bool:
        """Wait for a task as long as whoever asks can; whether it is done then."""
        done, _ = await asyncio.wait({task}, timeout=self._patience.total_seconds())
        return bool(done)

    async def stop(self) -> None:
        """Give what is under way a moment, then end it."""
        if tasks := set(self._tasks):
            _, late = await asyncio.wait(tasks, timeout=_LAST_MOMENT.total_seconds())
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

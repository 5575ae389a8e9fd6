"""Owns waiting: for a condition with a limit, and for one while tasks are at work."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow


async def until(condition: Callable[[], bool], *, within: timedelta, summary: str) -> bool:
    """Wait for a condition at most so long.

    Args:
        condition: Asked after every activation.
        within: Nothing or less asks only once.
        summary: What the timer says in the Temporal UI.

    Returns:
        Whether the condition came true.
    """
    if condition() or within <= timedelta(0):
        return condition()
    try:
        await workflow.wait_condition(condition, timeout=within, timeout_summary=summary)
    except TimeoutError:
        return False
    return True


async def watch(tasks: Sequence[asyncio.Task[None]], *, until: Callable[[], bool]) -> None:
    """Wait for a condition while tasks are at work beside the waiting one.

    An error in a task of its own would go unseen; here it surfaces, fails the workflow task and so
    shows in the Temporal UI, where the next deployment mends it.
    """
    await workflow.wait_condition(lambda: until() or any(map(_has_failed, tasks)))
    for task in filter(_has_failed, tasks):
        task.result()


def _has_failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None

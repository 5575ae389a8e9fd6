"""Counts what one incident costs Temporal: detected, restarted, verified, resolved."""

from collections import Counter
from datetime import timedelta

from benchmarks.arena import Arena
from benchmarks.conditions import until
from benchmarks.histories import Event, counts, events
from benchmarks.latency import distinct
from benchmarks.peer import Error
from benchmarks.policy import BRIEF, RECOVERED
from benchmarks.result import Fact, Result
from benchmarks.size import Size

MOST_EVENTS = 40
_RECOVERY = f"recovery:{BRIEF}"
_PATIENCE = timedelta(seconds=20)


async def cost(arena: Arena, size: Size) -> Result:
    """Events, tasks and activities of the common path's incident and of its service's recovery."""
    await _to_its_end(arena)  # it also starts the service's recovery workflow
    before = counts(await events(arena.client, _RECOVERY))
    histories = [await _to_its_end(arena) for _ in range(size.incidents)]
    after = counts(await events(arena.client, _RECOVERY))
    after.subtract(before)
    own = Counter[str]()
    for history in histories:
        own.update(counts(history))
    return Result(
        "Cost of the common path (detect, restart, verify, resolve)",
        facts=[
            *_facts("incident", own, size.incidents, at_most=MOST_EVENTS),
            *_facts("service's recovery", after, size.incidents),
        ],
        notes=[
            f"means of {size.incidents} incidents",
            "the recovery workflow is its service's own: told is what each incident adds to it",
            f"longest incident: {max(map(len, histories))} events",
        ],
    )


async def _to_its_end(arena: Arena) -> list[Event]:
    error = Error(distinct(RECOVERED).key, BRIEF, RECOVERED)
    await arena.holdfast.tell(error, local_activities=0)
    history: list[Event] = []

    async def is_over() -> bool:
        history[:] = await arena.holdfast.history(error)
        return counts(history)["WORKFLOW_EXECUTION_COMPLETED"] == 1

    await until(is_over, within=_PATIENCE)
    return history


def _facts(
    whose: str, found: Counter[str], incidents: int, *, at_most: float | None = None
) -> list[Fact]:
    def mean(kind: str) -> float:
        return found[kind] / incidents

    return [
        Fact(f"{whose}: history events", found.total() / incidents, "", at_most),
        Fact(f"{whose}: workflow tasks", mean("WORKFLOW_TASK_COMPLETED"), ""),
        Fact(f"{whose}: activities", mean("ACTIVITY_TASK_SCHEDULED"), ""),
        Fact(f"{whose}: local activities", mean("MARKER_RECORDED"), ""),
        Fact(f"{whose}: timers", mean("TIMER_STARTED"), ""),
    ]

"""Measures how long one error takes: to its first workflow task, and to its page."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from benchmarks.arena import Arena
from benchmarks.histories import Event, locals_of_first_task, moment
from benchmarks.peer import Error, Peer
from benchmarks.policy import PAGED, RECOVERED, SERVICES
from benchmarks.result import Result, latencies, of_which
from benchmarks.size import Size

# Between two errors, for what the one before left to do: its record, its answers.
_PAUSE = timedelta(milliseconds=100)
_numbers = count()


def distinct(category: str) -> Error:
    """An error that nobody has seen before; the services take turns."""
    number = next(_numbers)
    return Error(f"error-{number:05}", SERVICES[number % len(SERVICES)], category)


async def shape(arena: Arena, category: str, *, warm_up: int) -> int:
    """Warm both peers up, and see how many local activities Holdfast's first task has."""
    seen = Counter[int]()
    for _ in range(warm_up):
        error = distinct(category)
        await _one(arena.holdfast, error, 0)
        seen[locals_of_first_task(await arena.holdfast.history(error))] += 1
        await arena.holdfast.clear([error], after=_PAUSE)
    usual = seen.most_common(1)[0][0]
    for _ in range(warm_up):
        await _one(arena.bare, distinct(category), usual)
    return usual


async def _one(peer: Peer, error: Error, local_activities: int) -> tuple[float, float]:
    """Tell an error and wait until its action or page has arrived; when both happened."""
    sent = await peer.tell(error, local_activities=local_activities)
    arrived = await peer.receiver.arrival(error.key)
    await asyncio.sleep(_PAUSE.total_seconds())
    return sent, arrived


async def first_task(arena: Arena, size: Size) -> Result:
    """From the request to the completion of the incident's first workflow task."""
    usual = await shape(arena, RECOVERED, warm_up=size.warm_up)
    took: dict[str, _Steps] = {peer.name: _Steps() for peer in arena.peers}
    for _ in range(size.blocks):
        for peer in arena.peers:
            sent = {}
            for _ in range(size.block):
                error = distinct(RECOVERED)
                sent[error], _ = await _one(peer, error, usual)
            for error, at in sent.items():
                took[peer.name].add(at, await peer.history(error))
            await peer.clear(sent, after=_PAUSE)
    ours, bare = (took[peer.name] for peer in arena.peers)
    return Result(
        "Report to first workflow task",
        [
            *latencies("report to first task done", holdfast=ours.whole, bare=bare.whole),
            of_which("report to workflow started", holdfast=ours.before, bare=bare.before),
            of_which("started to task taken up", holdfast=ours.waiting, bare=bare.waiting),
            of_which("task taken up to task done", holdfast=ours.task, bare=bare.task),
        ],
        notes=[f"n={size.blocks * size.block} each; local activities in the bare task: {usual}"],
    )


@dataclass
class _Steps:
    """How long each step to the first task's completion took, in seconds."""

    whole: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    task: list[float] = field(default_factory=list)

    def add(self, sent: float, history: Sequence[Event]) -> None:
        """Take one error's steps from its workflow's history."""
        started = moment(history, "WORKFLOW_EXECUTION_STARTED")
        taken_up = moment(history, "WORKFLOW_TASK_STARTED")
        done = moment(history, "WORKFLOW_TASK_COMPLETED")
        self.whole.append(done - sent)
        self.before.append(started - sent)
        self.waiting.append(taken_up - started)
        self.task.append(done - taken_up)


async def page(arena: Arena, size: Size) -> Result:
    """From the request to the page at the webhook's receiver."""
    usual = await shape(arena, PAGED, warm_up=size.warm_up)
    took = defaultdict[str, list[float]](list)
    for _ in range(size.blocks):
        for peer in arena.peers:
            errors = [distinct(PAGED) for _ in range(size.block)]
            for error in errors:
                sent, arrived = await _one(peer, error, usual)
                took[peer.name].append(arrived - sent)
            await peer.clear(errors, after=_PAUSE)
    return Result(
        "Report to page",
        latencies("report to page received", holdfast=took["Holdfast"], bare=took["bare"]),
        notes=[f"n={size.blocks * size.block} each; local activities in the bare task: {usual}"],
    )

"""Measures how many distinct errors a second get as far as their first recovery action."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from statistics import fmean, median

import psutil

from benchmarks.arena import Arena
from benchmarks.latency import distinct, shape
from benchmarks.peer import Error, Peer
from benchmarks.policy import RECOVERED, SERVICES
from benchmarks.result import AIM, Comparison, Result
from benchmarks.size import Size

_IN_FLIGHT = 16
_PATIENCE = timedelta(minutes=1)
# After the last action its incidents still take its answer and write their record.
_AFTERMATH = timedelta(seconds=1.5)


@dataclass(frozen=True)
class _Round:
    """One peer's turn.

    Attributes:
        rate: Actions a second, from the first request to the last action's arrival.
        missing: Errors whose action did not arrive in time.
        processor: Seconds of processor time by part, the aftermath included.
    """

    rate: float
    missing: int
    processor: Mapping[str, float]


async def throughput(arena: Arena, size: Size) -> Result:
    """Distinct errors a second through to their action's arrival, so many under way at once."""
    ours, bare = await _rounds(arena, size, paced=True)
    return Result(
        "Distinct incidents, 16 on their way to their action at any time",
        [_rate("distinct incidents to first action", ours, bare), _processor(ours, bare)],
        notes=_notes(ours, bare, size),
    )


async def burst(arena: Arena, size: Size) -> Result:
    """The same, but reported as fast as the endpoint answers: how a large outage comes."""
    ours, bare = await _rounds(arena, size, paced=False)
    return Result(
        "Burst of distinct incidents, reported as fast as 16 connections are answered",
        [_rate("actions of the burst", ours, bare, aim=None), _processor(ours, bare)],
        notes=_notes(ours, bare, size),
    )


async def _rounds(arena: Arena, size: Size, *, paced: bool) -> tuple[list[_Round], list[_Round]]:
    usual = await shape(arena, RECOVERED, warm_up=size.warm_up)
    ours, bare = list[_Round](), list[_Round]()
    for _ in range(size.rounds):
        for peer, rounds in zip(arena.peers, (ours, bare), strict=True):
            rounds.append(await _round(peer, size.distinct, usual, paced=paced))
    return ours, bare


async def _round(peer: Peer, number: int, local_activities: int, *, paced: bool) -> _Round:
    errors = [distinct(RECOVERED) for _ in range(number)]
    places = asyncio.Semaphore(_IN_FLIGHT)
    before = _times(peer)
    started = time.time()

    async def follow(error: Error) -> float:
        async with places:
            await peer.tell(error, local_activities=local_activities)
            if paced:
                return await peer.receiver.arrival(error.key, within=_PATIENCE)
        return await peer.receiver.arrival(error.key, within=_PATIENCE)

    found = await asyncio.gather(*map(follow, errors), return_exceptions=True)
    arrivals = [each for each in found if isinstance(each, float)]
    await asyncio.sleep(_AFTERMATH.total_seconds())
    used = {part: (now - before[part]) / number for part, now in _times(peer).items()}
    await peer.clear(errors, after=timedelta(0))
    rate = len(arrivals) / (max(arrivals) - started)
    return _Round(rate, number - len(arrivals), used)


def _times(peer: Peer) -> dict[str, float]:
    """The processor time that each part has used so far."""
    return {part: _used(pid) for part, pid in peer.processes.items()}


def _used(pid: int) -> float:
    process = psutil.Process(pid)
    used = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(times.user + times.system for times in used)


def _rate(
    name: str, ours: list[_Round], bare: list[_Round], *, aim: float | None = AIM
) -> Comparison:
    of_ours, of_bare = (median(each.rate for each in rounds) for rounds in (ours, bare))
    return Comparison(name, "/s", of_ours, of_bare, more_is_better=True, aim=aim)


def _processor(ours: list[_Round], bare: list[_Round]) -> Comparison:
    of_ours, of_bare = (sum(_mean(rounds).values()) for rounds in (ours, bare))
    return Comparison("processor time of an incident", "ms", of_ours, of_bare, aim=None)


def _mean(rounds: list[_Round]) -> dict[str, float]:
    """The processor time of an incident by part, in milliseconds."""
    parts = rounds[0].processor
    return {part: fmean(each.processor[part] for each in rounds) * 1000 for part in parts}


def _notes(ours: list[_Round], bare: list[_Round], size: Size) -> list[str]:
    notes = [
        f"median of {size.rounds} rounds of {size.distinct} errors of {len(SERVICES)} services"
    ]
    for name, rounds in (("Holdfast", ours), ("the bare peer", bare)):
        parts = ", ".join(f"{part} {used:.1f}" for part, used in _mean(rounds).items())
        notes.append(f"processor time of {name} in ms: {parts}")
        if missing := sum(each.missing for each in rounds):
            within = _PATIENCE.total_seconds()
            notes.append(f"{name}: {missing} actions did not arrive within {within:g} s")
    return notes

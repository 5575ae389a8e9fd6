"""Measures report to page while distinct incidents come at a steady pace, answered or not."""

import asyncio
from datetime import timedelta

from benchmarks.arena import Arena
from benchmarks.latency import distinct, shape
from benchmarks.peer import Error, Peer
from benchmarks.policy import PAGED
from benchmarks.result import Comparison, Result, latencies
from benchmarks.size import Size

RATES = (1, 5, 20)
_PATIENCE = timedelta(minutes=1)
_PAUSE = timedelta(seconds=2)


async def pace(arena: Arena, size: Size) -> Result:
    """From the request to the page, at 1, 5 and 20 incidents a second.

    The next report never waits for the one before: what a system can't keep up with piles up, and
    shows in its latencies.
    """
    usual = await shape(arena, PAGED, warm_up=size.warm_up)
    comparisons: list[Comparison] = []
    notes = []
    for rate in RATES:
        number = max(round(rate * size.pace.total_seconds()), size.fewest_paced)
        took, missing = {}, {}
        for peer in arena.peers:
            took[peer.name], missing[peer.name] = await _paced(peer, rate, number, usual)
        name = f"report to page at {rate}/s"
        comparisons += latencies(name, holdfast=took["Holdfast"], bare=took["bare"], aim=None)
        lost = ", ".join(f"{name} {count}" for name, count in missing.items() if count)
        late = f"; not within {_PATIENCE.total_seconds():g} s: {lost}" if lost else ""
        notes.append(f"at {rate}/s: n={number} each{late}")
    notes.append("nothing is bundled here: each incident is its own page")
    return Result("Report to page at a steady pace", comparisons, notes=notes)


async def _paced(
    peer: Peer, rate: int, number: int, local_activities: int
) -> tuple[list[float], int]:
    """Tell so many errors, so many a second; how long each page took, and how many never came."""
    errors = [distinct(PAGED) for _ in range(number)]
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(place: int, error: Error) -> float:
        await asyncio.sleep(max(began + place / rate - loop.time(), 0))
        sent = await peer.tell(error, local_activities=local_activities)
        return await peer.receiver.arrival(error.key, within=_PATIENCE) - sent

    told = (one(place, error) for place, error in enumerate(errors))
    found = await asyncio.gather(*told, return_exceptions=True)
    await peer.clear(errors, after=_PAUSE)
    took = [each for each in found if isinstance(each, float)]
    return took, number - len(took)

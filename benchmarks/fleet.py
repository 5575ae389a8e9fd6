"""Measures how fast a fleet stops calling: from its failures to the last client's open breaker.

The clients are real ones, each with its own connection to the event stream, in a few processes.
Each makes one call, which fails: by themselves they would never trip.
"""

import asyncio
import json
import sys
import time
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from benchmarks.arena import Arena
from benchmarks.result import Fact, Result, percentile
from benchmarks.size import Size
from standalone.system import CHECKOUT

_PROCESSES = 4
# For all processes to have read their order before its moment comes.
_LEAD = timedelta(seconds=1)
_PATIENCE = timedelta(seconds=30)
_PAUSE = timedelta(seconds=1)
_WITHIN = timedelta(seconds=1.5)
_AFTER_DECISION = timedelta(milliseconds=100)


async def fleet(arena: Arena, size: Size) -> Result:
    """From the moment at which the fleet's failure rate passes its threshold."""
    whole, after, last = list[float](), list[float](), list[float]()
    async with _members(arena, size.clients // _PROCESSES) as members:
        for _ in range(size.trips):
            name = f"fleet-{uuid.uuid4().hex[:8]}"
            began = time.time() + _LEAD.total_seconds()
            opened = await _round(members, name, at=began)
            decided = await _decided(arena, name)
            whole += [each - began for each in opened]
            last.append(max(opened) - began)
            after.append(max(opened) - decided)
            await asyncio.sleep(_PAUSE.total_seconds())
    return Result(
        "From a fleet's failures to open breakers in all its clients",
        facts=[
            *_facts("failing to open, each client", whole),
            *_facts("failing to open, the last client", last, at_most=_WITHIN),
            *_facts("decided to open, the last client", after, at_most=_AFTER_DECISION),
        ],
        notes=[
            f"{size.clients} clients in {_PROCESSES} processes, {size.trips} trips",
            "each client makes one call at the same moment, and it fails",
            "outcomes are told every second",
        ],
    )


@asynccontextmanager
async def _members(arena: Arena, clients: int) -> AsyncIterator[Sequence[Process]]:
    """The fleet's processes, all their clients in contact; none is left afterwards."""
    url = arena.api_url.removesuffix("/api/system")
    command = (sys.executable, "-m", "benchmarks.fleet_member", url, arena.key, str(clients))
    processes = [
        await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdin=PIPE, stdout=PIPE)
        for _ in range(_PROCESSES)
    ]
    try:
        for process in processes:
            await _answer(process)
        yield processes
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _round(members: Sequence[Process], name: str, *, at: float) -> list[float]:
    """Have every client fail once; when each heard that the breaker is open."""
    for process in members:
        if process.stdin:
            process.stdin.write(json.dumps({"service": name, "at": at}).encode() + b"\n")
    answers = await asyncio.gather(*(_answer(process) for process in members))
    return [moment for answer in answers for moment in json.loads(answer)]


async def _answer(process: Process) -> bytes:
    if process.stdout is None:
        raise RuntimeError("the member was started without a pipe")
    async with asyncio.timeout(_PATIENCE.total_seconds()):
        line = await process.stdout.readline()
    if not line:
        raise RuntimeError("a member of the fleet ended: its error stands above")
    return line


async def _decided(arena: Arena, name: str) -> float:
    url = f"{arena.api_url}/circuit-breakers/{name}"
    async with arena.http.get(url, raise_for_status=True) as answer:
        since: str = (await answer.json())["since"]
    return datetime.fromisoformat(since).timestamp()


def _facts(name: str, took: Sequence[float], at_most: timedelta | None = None) -> list[Fact]:
    aim = at_most.total_seconds() * 1000 if at_most else None
    return [
        Fact(f"{name}, p{round(share * 100)}", percentile(took, share) * 1000, "ms", aim)
        for share in (0.5, 0.99)
    ]

"""Measures what connections to the event stream cost an API process, and how soon all hear."""

import asyncio
import time
import uuid
from contextlib import AsyncExitStack

import aiohttp
import psutil

from benchmarks.arena import Arena
from benchmarks.policy import BRIEF
from benchmarks.result import Fact, Result, percentile
from benchmarks.size import Size

_CHANGES = 5
_TOGETHER = 50
_PATIENCE = 30.0


async def streams(arena: Arena, size: Size) -> Result:
    """Memory of each connection, and the time from a change to all of them."""
    process = psutil.Process(arena.api_process)
    took: list[float] = []
    lasts: list[float] = []
    async with AsyncExitStack() as stack:
        before = process.memory_info().rss
        listeners = await _connected(stack, arena, size.streams)
        after = process.memory_info().rss
        for _ in range(_CHANGES):
            changed, heard = await _change(arena, listeners)
            took += [each - changed for each in heard]
            lasts.append(max(heard) - changed)
    return Result(
        f"{size.streams} connections to one API process's event stream",
        facts=[
            Fact("memory of a connection", (after - before) / size.streams / 1024, "KiB"),
            Fact("asked for to heard, p50", percentile(took, 0.5) * 1000, "ms"),
            Fact("asked for to heard, p99", percentile(took, 0.99) * 1000, "ms"),
            Fact("asked for to heard by the last, median", percentile(lasts, 0.5) * 1000, "ms"),
        ],
        notes=[
            f"the API process grew from {before >> 20} to {after >> 20} MiB",
            f"{_CHANGES} changes of a breaker's mode, timed from the request on",
            "on their way: the workflow, the record, NOTIFY, the stream",
        ],
    )


class _Listener:
    """One connection; it notes when it hears of a service."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def hear(self, word: bytes) -> float:
        async with asyncio.timeout(_PATIENCE):
            async for line in self._answer.content:
                if line.startswith(b"data:") and word in line:
                    return time.time()
        raise ConnectionError("the stream ended")


async def _connected(stack: AsyncExitStack, arena: Arena, number: int) -> list[_Listener]:
    """So many connections, each past its first events."""

    async def connect() -> _Listener:
        answer = await stack.enter_async_context(
            arena.http.get(f"{arena.api_url}/events", timeout=aiohttp.ClientTimeout(total=None))
        )
        answer.raise_for_status()
        listener = _Listener(answer)
        await listener.hear(b'"current"')
        return listener

    listeners: list[_Listener] = []
    for begun in range(0, number, _TOGETHER):
        together = min(_TOGETHER, number - begun)
        listeners += await asyncio.gather(*(connect() for _ in range(together)))
    return listeners


async def _change(arena: Arena, listeners: list[_Listener]) -> tuple[float, list[float]]:
    """Change one breaker; when it was asked for, and when each connection heard of it."""
    reason = f"benchmark {uuid.uuid4().hex[:8]}"
    hearing = [asyncio.create_task(each.hear(reason.encode())) for each in listeners]
    await asyncio.sleep(0)
    asked = time.time()
    url = f"{arena.api_url}/circuit-breakers/{BRIEF}/mode"
    body = {"mode": "metrics_only", "reason": reason}
    async with arena.http.post(url, json=body, raise_for_status=True) as answer:
        await answer.read()
    return asked, await asyncio.gather(*hearing)

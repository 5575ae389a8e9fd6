"""A fleet in the end-to-end tests: processes full of clients, and what they said."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from standalone.system import CHECKOUT
from tests.end_to_end.depot import Depot
from tests.end_to_end.town import Caller

PROCESSES: Final = 5


@dataclass
class Fleet:
    """The clients of several processes.

    Attributes:
        names: Theirs.
        rejected: How many calls of each a breaker rejected since the counter was last cleared.
    """

    names: Sequence[str]
    rejected: Counter[str] = field(default_factory=Counter)

    def rejects(self, times: int, *, but: Collection[str] = ()) -> bool:
        """Whether every client was rejected so many times, except those that are named."""
        return all(self.rejected[name] >= times for name in self.names if name not in but)

    async def listen(self, process: Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            what, _, name = line.decode().strip().partition(" ")
            assert what == "rejected", line
            self.rejected[name] += 1


async def reporter_key(caller: Caller) -> str:
    """A key for a service of the tests."""
    answer = await caller.post("/keys", {"name": uuid4().hex, "roles": ["reporter"]})
    assert answer.is_success, answer.text
    return str(answer.json()["secret"])


@asynccontextmanager
async def sent_out(
    caller: Caller, depot: Depot, service: str, *, clients: int
) -> AsyncIterator[Fleet]:
    """A fleet that calls the depot until the end of the block, each through its own client."""
    environment = {
        "HOLDFAST_URL": caller.system.api_url,
        "HOLDFAST_KEY": await reporter_key(caller),
        "HOLDFAST_SPILL": "off",
    }
    fleet = Fleet([f"caller-{number}" for number in range(clients)])
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.end_to_end.callers", depot.url, service),
            *fleet.names[place::PROCESSES],
            stdout=PIPE,
            cwd=CHECKOUT,
            env=os.environ | environment,
        )
        for place in range(PROCESSES)
    ]
    listening = [asyncio.create_task(fleet.listen(process)) for process in processes]
    try:
        yield fleet
    finally:
        for process in processes:
            process.kill()
        await asyncio.gather(*(process.wait() for process in processes), *listening)

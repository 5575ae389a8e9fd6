"""Owns the place where the peers meet: one Temporal server, both systems on it, one receiver."""

import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
from temporalio.client import Client

from benchmarks.peer import Peer
from benchmarks.policy import policy_text
from benchmarks.receiver import Receiver
from standalone import environment
from standalone.child import Child, Program, ready_at_once
from standalone.ports import free_ports
from standalone.system import CHECKOUT, Part, System
from standalone.temporal import answers

_PARTS: tuple[Part, ...] = ("api", "worker", "temporal", "postgres")


@dataclass(frozen=True)
class Arena:
    """Everything that is needed to measure.

    Attributes:
        api_url: Holdfast's API.
        key: Its admin's key.
        api_process: The API's process id.
        client: Reads histories.
    """

    holdfast: Peer
    bare: Peer
    api_url: str
    key: str
    api_process: int
    client: Client
    receiver: Receiver
    http: aiohttp.ClientSession

    @property
    def peers(self) -> tuple[Peer, Peer]:
        """Both, in the order in which they take turns."""
        return self.holdfast, self.bare


@asynccontextmanager
async def arena(say: Callable[[str], None]) -> AsyncIterator[Arena]:
    """Both systems up, in a folder that is gone afterwards.

    Args:
        say: Takes the processes' warnings.
    """
    async with AsyncExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="holdfast-", ignore_cleanup_errors=True)
        home = Path(stack.enter_context(folder))
        receiver = await stack.enter_async_context(Receiver())
        policy = home / "policy.yaml"
        policy.write_text(policy_text(receiver.url))
        system = System.on_free_ports(home, environment={"HOLDFAST_CONFIG": str(policy)}, say=say)
        await stack.enter_async_context(system)
        client = await Client.connect(system.temporal_address)
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"Authorization": f"Bearer {system.admin_key}"}
        session = aiohttp.ClientSession(connector=connector, headers=headers)
        http = await stack.enter_async_context(session)
        url, bare = await _start_bare(stack, system, say)
        processes: dict[str, int] = {part: system.pid(part) or 0 for part in _PARTS}
        peer = partial(Peer, http=http, client=client, receiver=receiver)
        yield Arena(
            holdfast=peer("Holdfast", f"{system.api_url}/api/system/errors", "incident", processes),
            bare=peer("bare", url, "bare", bare | {"temporal": processes["temporal"]}),
            api_url=f"{system.api_url}/api/system",
            key=system.admin_key,
            api_process=processes["api"],
            client=client,
            receiver=receiver,
            http=http,
        )


async def _start_bare(
    stack: AsyncExitStack, system: System, say: Callable[[str], None]
) -> tuple[str, dict[str, int]]:
    """Start the bare endpoint and worker; the endpoint's address, and the processes by name."""
    [port] = free_ports(1)

    async def listens() -> bool:
        return await answers(port)

    programs = {
        "endpoint": _program("endpoint", system.temporal_address, str(port), ready=listens),
        "worker": _program("worker", system.temporal_address),
    }
    children = {
        name: Child(program, log=system.home.log(f"bare-{name}"), say=say)
        for name, program in programs.items()
    }
    for child in children.values():
        stack.push_async_callback(child.stop)
        await child.start()
    return f"http://127.0.0.1:{port}/errors", {
        name: child.pid or 0 for name, child in children.items()
    }


def _program(
    name: str, *arguments: str, ready: Callable[[], Awaitable[bool]] = ready_at_once
) -> Program:
    return Program(
        name=f"bare {name}",
        command=(sys.executable, "-m", f"benchmarks.bare.{name}", *arguments),
        environment=environment.for_stores(),
        ready=ready,
        directory=CHECKOUT,
    )

"""Owns a process's place among the others: its heartbeat, and what it hears from them.

Every process of Holdfast has one of these. With PostgreSQL away it goes on alone, and catches up
once PostgreSQL is back.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.errors import HoldfastError, Unavailable
from storage.notifications import Listener, Message
from storage.processes import Process, Processes, ProcessKind

log = structlog.get_logger(__name__)

HEARTBEAT_EVERY: Final = timedelta(seconds=5)
# Two beats may be late before a process counts as gone.
ALIVE_WITHIN: Final = timedelta(seconds=13)

# What processes tell each other; the messages carry nothing but that something changed.
POLICY_CHANGED: Final = "holdfast_policy"
KEYS_CHANGED: Final = "holdfast_keys"
SILENCES_CHANGED: Final = "holdfast_silences"


class Presence:
    """Tells the other processes that this one is alive, and hears what concerns it.

    Args:
        engine: Where the processes meet.
        kind: What this process does.
        version: Its version.
        policy_hash: Gives the active policy file's hash, so that a difference shows.
        hearing: What to do on each channel's messages, and once after every new connection.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        kind: ProcessKind,
        version: str,
        policy_hash: Callable[[], str],
        hearing: Mapping[str, Callable[[], Awaitable[None]]],
    ) -> None:
        self._processes = Processes(engine)
        self._policy_hash = policy_hash
        self._hearing = hearing
        self._listener = Listener(
            engine, list(hearing), on_message=self._hear, on_connect=self._catch_up
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._process = Process(
            id=str(uuid4()),
            kind=kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=datetime.now(UTC),
            policy_hash=policy_hash(),
            version=version,
        )

    @property
    def process(self) -> Process:
        """This process, as its next heartbeat tells."""
        return self._process.model_copy(update={"policy_hash": self._policy_hash()})

    @property
    def is_hearing(self) -> bool:
        """Whether messages of other processes reach this one."""
        return self._listener.is_connected

    async def start(self) -> None:
        """Begin to beat and to listen."""
        self._tasks = [
            asyncio.create_task(self._keep_beating(), name="heartbeat"),
            asyncio.create_task(self._listener.run(), name="listener"),
        ]

    async def stop(self) -> None:
        """Stop, and take the process off the register if PostgreSQL is there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        try:
            await self._processes.retire(self._process.id)
        except Unavailable as error:
            log.info("this process stays on the register for a while", why=str(error))

    async def beat(self) -> None:
        """Tell at once, as after a reload of the policy.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        await self._processes.heartbeat(self.process)

    async def _keep_beating(self) -> None:
        while True:
            try:
                await self.beat()
            except Exception as error:  # noqa: BLE001  # the task's edge: the next may go well
                log.info("no heartbeat", why=str(error))
            await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())

    async def _hear(self, message: Message) -> None:
        await self._act(message.channel)

    async def _catch_up(self) -> None:
        for channel in self._hearing:
            await self._act(channel)

    async def _act(self, channel: str) -> None:
        try:
            await self._hearing[channel]()
        except Unavailable:
            # The listener connects again, and then catches up.
            raise
        except HoldfastError as error:
            log.warning("what another process told is not followed", on=channel, why=str(error))

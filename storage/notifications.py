"""Owns LISTEN and NOTIFY: short messages to all processes, lost by who is not connected.

A message says that something changed, not what: whoever hears it looks it up. So a listener that
was away catches up by looking once, which is what it is told to do after every connection.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.model import Model
from holdfast.errors import PayloadTooLarge
from storage.database import DriverConnection, connect_alone, statement

# PostgreSQL's own limit is 8000 bytes, the terminating one included.
MAX_PAYLOAD_BYTES = 7999
FIRST_DELAY = timedelta(milliseconds=100)
LONGEST_DELAY = timedelta(seconds=5)
# A connection that a firewall dropped looks like one on which nothing happens.
SILENCE = timedelta(seconds=20)
ANSWER_TIMEOUT = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class Message(Model):
    """What was notified on a channel."""

    channel: str
    payload: str


async def notify(engine: AsyncEngine, channel: str, payload: str) -> None:
    """Tell all who listen on a channel.

    Raises:
        PayloadTooLarge: If PostgreSQL cannot carry the payload.
    """
    size = len(payload.encode())
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"a notification carries {MAX_PAYLOAD_BYTES} bytes, not {size}")
    async with statement(engine) as connection:
        await connection.execute(
            text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload}
        )


class Listener:
    """Hears what is notified, on a connection of its own, for as long as it runs.

    A callback that raises is treated like a lost connection: the listener connects again and asks
    to catch up, so that what the callback failed at is not overlooked.

    Args:
        engine: Where to connect.
        channels: What to listen on.
        on_message: Called for each message, one at a time and in order.
        on_connect: Called after each connection, before its first message.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        channels: Sequence[str],
        *,
        on_message: Callable[[Message], Awaitable[None]],
        on_connect: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._channels = tuple(channels)
        self._on_message = on_message
        self._on_connect = on_connect
        self._delay = FIRST_DELAY
        self.is_connected = False

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001  # the task's edge: whatever it was, go on
                log.warning("the listener connects again", after=str(self._delay), why=repr(error))
            jitter = random.uniform(0.5, 1)  # noqa: S311  # not a secret
            await asyncio.sleep(self._delay.total_seconds() * jitter)
            self._delay = min(self._delay * 2, LONGEST_DELAY)

    async def _listen(self) -> None:
        async with self._connected() as (connection, messages):
            await self._on_connect()
            self._delay = FIRST_DELAY
            while True:
                try:
                    async with asyncio.timeout(SILENCE.total_seconds()):
                        message = await messages.get()
                except TimeoutError:
                    await connection.execute("SELECT 1")
                    continue
                if message is None:
                    raise ConnectionError("PostgreSQL closed the connection")
                await self._on_message(message)

    @asynccontextmanager
    async def _connected(
        self,
    ) -> AsyncIterator[tuple[DriverConnection, "asyncio.Queue[Message | None]"]]:
        """A listening connection and what it hears; None is its end."""
        messages: asyncio.Queue[Message | None] = asyncio.Queue()

        def hear(_: object, __: int, channel: str, payload: object) -> None:
            messages.put_nowait(Message(channel=channel, payload=str(payload)))

        connection = await connect_alone(
            self._engine, command_timeout=ANSWER_TIMEOUT.total_seconds()
        )
        try:
            connection.add_termination_listener(lambda _: messages.put_nowait(None))
            for channel in self._channels:
                await connection.add_listener(channel, hear)
            self.is_connected = True
            yield connection, messages
        finally:
            self.is_connected = False
            connection.terminate()

"""Every message is heard in order, and after a loss the listener is told to catch up."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text

from holdfast.errors import PayloadTooLarge
from storage.database import create_engine, transaction
from storage.notifications import MAX_PAYLOAD_BYTES, Listener, notify
from tests.storage.samples import eventually


class Ear:
    """Remembers what a listener hears; fails at a message that says so."""

    def __init__(self):
        self.heard = []
        self.connections = 0

    async def on_message(self, message):
        self.heard.append((message.channel, message.payload))
        if message.payload == "fail":
            raise RuntimeError("cannot take this")

    async def on_connect(self):
        self.connections += 1


@asynccontextmanager
async def listening(engine, *channels):
    ear = Ear()
    listener = Listener(engine, channels, on_message=ear.on_message, on_connect=ear.on_connect)
    task = asyncio.create_task(listener.run())
    try:
        await eventually(lambda: ear.connections == 1)
        yield ear, listener
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not listener.is_connected


async def hang_up(engine):
    """End every connection but one's own, as a restart of PostgreSQL would."""
    async with transaction(engine) as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    # What the test itself asks next must not meet a connection that is just being closed.
    await engine.dispose()


async def test_messages_are_heard_in_order_on_their_channels(engine):
    async with listening(engine, "one", "two") as (ear, listener):
        assert listener.is_connected
        for n in range(20):
            await notify(engine, "two" if n % 2 else "one", str(n))
        await notify(engine, "three", "unheard")
        await eventually(lambda: len(ear.heard) == 20)
        assert ear.heard == [("two" if n % 2 else "one", str(n)) for n in range(20)]


async def test_after_a_loss_it_connects_again_and_catches_up(engine):
    async with listening(engine, "one") as (ear, _):
        await hang_up(engine)
        await eventually(lambda: ear.connections == 2)
        await notify(engine, "one", "after")
        await eventually(lambda: ear.heard == [("one", "after")])


async def test_it_outlasts_an_outage(server):
    """While PostgreSQL is away it keeps trying, and says that it hears nothing."""
    engine = create_engine(server.get_uri())
    async with listening(engine, "one") as (ear, listener):
        server.stop()
        await eventually(lambda: not listener.is_connected)
        server.start()
        await eventually(lambda: ear.connections == 2)
        await notify(engine, "one", "after")
        await eventually(lambda: ear.heard == [("one", "after")])
    await engine.dispose()


async def test_a_callback_that_fails_makes_it_catch_up(engine):
    async with listening(engine, "one") as (ear, _):
        await notify(engine, "one", "fail")
        await eventually(lambda: ear.connections == 2)
        await notify(engine, "one", "after")
        await eventually(lambda: ear.heard[-1] == ("one", "after"))


async def test_a_message_in_a_unit_of_work_that_fails_is_not_sent(engine):
    async with listening(engine, "one") as (ear, _):
        with suppress(ZeroDivisionError):
            async with transaction(engine) as connection:
                await connection.execute(text("SELECT pg_notify('one', 'never')"))
                raise ZeroDivisionError
        await notify(engine, "one", "after")
        await eventually(lambda: ear.heard == [("one", "after")])


async def test_a_payload_is_as_large_as_postgresql_takes(engine):
    async with listening(engine, "one") as (ear, _):
        await notify(engine, "one", "x" * MAX_PAYLOAD_BYTES)
        await eventually(lambda: bool(ear.heard))
        with pytest.raises(PayloadTooLarge):
            await notify(engine, "one", "x" * (MAX_PAYLOAD_BYTES + 1))

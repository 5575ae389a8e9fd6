"""PostgreSQL goes away and comes back; nobody needs to be restarted."""

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import psutil
import pytest
from sqlalchemy import text

from holdfast.errors import ConfigurationError, Unavailable
from storage.database import (
    POOL_OVERFLOW,
    POOL_SIZE,
    create_engine,
    lock,
    ping,
    statement,
    transaction,
)
from storage.intake import Intake
from storage.migrate import is_at_head, migrate
from tests.storage.samples import LEASE, a_row, eventually, run_module


@asynccontextmanager
async def engine_on(url, **options):
    engine = create_engine(url, **options)
    try:
        yield engine
    finally:
        await engine.dispose()


async def test_the_same_engine_works_again_after_a_restart(server):
    """While PostgreSQL is away everything is Unavailable at once; then nothing fails again."""
    await migrate(server.get_uri())
    async with engine_on(server.get_uri()) as engine:
        intake = Intake(engine)
        await asyncio.gather(*(intake.waiting() for _ in range(8)))
        server.stop()
        started = time.monotonic()
        for _ in range(12):
            with pytest.raises(Unavailable):
                await intake.add([a_row()], lease=LEASE)
            with pytest.raises(Unavailable):
                await intake.abandoned(limit=1, lease=LEASE)
        assert time.monotonic() - started < 5
        server.start()
        await asyncio.gather(*(intake.add([a_row()], lease=LEASE) for _ in range(8)))
        assert (await intake.waiting()).rows == 8
        assert await is_at_head(engine)


async def test_migrating_waits_for_postgresql_to_come_up(server):
    url = server.get_uri()
    server.stop()
    migrating = asyncio.create_task(run_module("storage.migrate", HOLDFAST_DATABASE_URL=url))
    server.start()
    code, out, _ = await migrating
    assert (code, out.startswith("the database is at revision ")) == (0, True)


async def test_a_statement_that_is_cut_off_is_unavailable(server):
    async with engine_on(server.get_uri()) as engine:
        sleeping = asyncio.create_task(run(engine, "SELECT pg_sleep(60)"))
        await eventually(lambda: busy_backends(engine))
        server.stop()
        with pytest.raises(Unavailable):
            await sleeping


async def test_a_hanging_server_is_unavailable_within_the_timeout(server):
    """A stopped process accepts connections and says nothing, like a machine that died."""
    async with engine_on(server.get_uri(), command_timeout=timedelta(seconds=1)) as engine:
        await ping(engine)
        processes = [psutil.Process(server.get_pid())]
        processes += processes[0].children()
        for each in processes:
            each.suspend()
        try:
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await ping(engine)
            with pytest.raises(Unavailable):
                await ping(engine)
            assert time.monotonic() - started < 10
        finally:
            for each in processes:
                each.resume()
        await eventually(lambda: reachable(engine))


@pytest.mark.parametrize("unit", [transaction, statement])
async def test_a_backend_that_is_killed_costs_one_unit_of_work_at_most(engine, unit):
    async with unit(engine) as connection:
        pid = await connection.scalar(text("SELECT pg_backend_pid()"))
    os.kill(pid, signal.SIGTERM)
    await eventually(lambda: reachable(engine))
    async with unit(engine) as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_a_slow_statement_is_unavailable_and_its_connection_still_good(database_url):
    async with engine_on(database_url, command_timeout=timedelta(milliseconds=50)) as engine:
        for _ in range(POOL_SIZE + POOL_OVERFLOW + 1):
            with pytest.raises(Unavailable, match="in time"):
                await run(engine, "SELECT pg_sleep(60)")
        await ping(engine)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody@127.0.0.1:1/nothing",
        "postgresql://somebody:@/nothing?host=/nowhere",
    ],
)
async def test_an_unreachable_address_is_unavailable(url):
    async with engine_on(url) as engine:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await ping(engine)


async def test_a_missing_database_is_unavailable(databases):
    async with engine_on(databases.url("nowhere")) as engine:
        with pytest.raises(Unavailable, match="nowhere"):
            await ping(engine)


async def test_a_full_server_is_unavailable(databases, database_url):
    name = database_url.split("/")[3].split("?")[0]
    await databases.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    await databases.execute("DROP ROLE IF EXISTS guest")
    await databases.execute("CREATE ROLE guest LOGIN")
    async with engine_on(database_url.replace("postgres:@", "guest:@")) as engine:
        with pytest.raises(Unavailable, match="too many connections"):
            await ping(engine)
    await databases.execute("DROP ROLE guest")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://here/x", "sqlite:///x.db"])
def test_what_is_not_postgresql_is_refused(url):
    with pytest.raises(ConfigurationError, match="postgresql://"):
        create_engine(url)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
async def test_the_usual_ways_to_write_a_url_are_taken(database_url, scheme):
    url = database_url.replace("postgresql", scheme, 1) + "&sslmode=disable"
    async with engine_on(url) as engine:
        await ping(engine)


async def test_an_error_of_ones_own_passes_unchanged(engine):
    with pytest.raises(KeyError):
        async with transaction(engine):
            raise KeyError


async def run(engine, sql):
    async with transaction(engine) as connection:
        await connection.execute(text(sql))


async def reachable(engine):
    try:
        await ping(engine)
    except Unavailable:
        return False
    return True


async def busy_backends(engine):
    async with statement(engine) as connection:
        return await connection.scalar(
            text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        )


async def test_a_lock_does_not_outlive_the_machine_of_its_holder(engine):
    """PostgreSQL ends a transaction that has it and says nothing; others are left alone."""
    limit = text("SELECT current_setting('idle_in_transaction_session_timeout')")
    async with transaction(engine) as connection:
        await lock(connection, "something")
        assert await connection.scalar(limit) == "30s"
    async with transaction(engine) as connection:
        assert await connection.scalar(limit) == "0"

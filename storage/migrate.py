"""Owns the bringing of the database's tables up to date: ``python -m storage.migrate``.

There is no way down: a revision must suit the processes of the version before, which still run
while it is applied, and what turns out wrong is put right by the next revision.
"""

import asyncio
import sys
from datetime import timedelta
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from config.settings import Settings
from holdfast.errors import ConfigurationError, HoldfastError, Unavailable
from storage.database import create_engine, lock, transaction

PATIENCE = timedelta(seconds=30)
BETWEEN_TRIES = timedelta(milliseconds=500)


async def migrate(url: str) -> str:
    """Bring a database to the newest revision; several processes may at once.

    Returns:
        The revision.

    Raises:
        Unavailable: If PostgreSQL cannot be reached.
    """
    engine = create_engine(url, command_timeout=None)
    try:
        async with transaction(engine) as connection:
            await lock(connection, "migrate")
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()
    return _head()


async def is_at_head(engine: AsyncEngine) -> bool:
    """Whether the database has exactly the tables that this version was written for."""
    async with transaction(engine) as connection:
        return await connection.run_sync(_revision) == _head()


def database_url(settings: Settings) -> str:
    """Where the settings say that PostgreSQL is.

    Raises:
        ConfigurationError: If they don't.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "HOLDFAST_DATABASE_URL is not set; write postgresql://user:password@host:port/database"
        )
    return settings.database_url.get_secret_value()


def _config() -> Config:
    return Config(Path(__file__).with_name("alembic.ini"))


@cache
def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise ConfigurationError("storage/migrations holds no revision; the installation is broken")
    return head


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def _migrate_patiently(url: str) -> str:
    """Migrate as soon as PostgreSQL can be reached: it is often started at the same time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE.total_seconds()
    while True:
        try:
            return await migrate(url)
        except Unavailable:
            if clock() > deadline:
                raise
        await asyncio.sleep(BETWEEN_TRIES.total_seconds())


def _main() -> str:
    try:
        revision = asyncio.run(_migrate_patiently(database_url(Settings())))
    except HoldfastError as error:
        sys.exit(f"the database was not migrated: {error}")
    return f"the database is at revision {revision}"


if __name__ == "__main__":
    sys.stdout.write(_main() + "\n")

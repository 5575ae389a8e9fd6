"""Owns the way to PostgreSQL: the engine, the unit of work, and what counts as unreachable."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeAlias

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from pydantic_core import from_json, to_json
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from holdfast.errors import ConfigurationError, Unavailable

CONNECT_TIMEOUT = timedelta(seconds=2)
COMMAND_TIMEOUT = timedelta(seconds=10)
# An API process, a worker and their neighbours share PostgreSQL's default of 100 connections.
POOL_SIZE = 10
POOL_OVERFLOW = 5
POOL_TIMEOUT = timedelta(seconds=5)

# asyncpg's own connection, below SQLAlchemy; asyncpg ships no types.
DriverConnection: TypeAlias = Any

_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})

# SQLSTATE classes and codes after which trying again later may well succeed: connection lost,
# refused sign-in (passwords and hosts change in a failover), out of resources, stopped by an
# operator or a timeout, lost against another transaction, or a server that became read-only.
_PASSING_CLASSES = frozenset({"08", "28", "53", "57", "58"})
_PASSING_CODES = frozenset({"25006", "3D000", "40001", "40P01", "55P03"})

_LOCK = text("""
    SELECT set_config('idle_in_transaction_session_timeout', :silence, true),
        pg_advisory_xact_lock(hashtext(:name))
""")
_SILENCE = "30s"

# A NUL in JSON text, where the backslash is not itself escaped.
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def create_engine(url: str, *, command_timeout: timedelta | None = COMMAND_TIMEOUT) -> AsyncEngine:
    """Make the engine of a process; nothing is connected before the first use.

    Args:
        url: Any libpq URL, ``sslmode`` and Unix sockets (``?host=/run/postgresql``) included.
        command_timeout: For one statement; None for migrations and other long work.

    Raises:
        ConfigurationError: If the URL is not one of PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "the database URL cannot be read; write postgresql://user:password@host:port/database"
        ) from error
    if parsed.drivername not in _SCHEMES:
        raise ConfigurationError(
            f"the database URL begins with {parsed.drivername}://; Holdfast keeps its record in "
            "PostgreSQL, so it has to begin with postgresql://"
        )
    seconds = command_timeout.total_seconds() if command_timeout else None

    # asyncpg reads the URL itself, because SQLAlchemy does not know libpq's sslmode and the like.
    async def connect() -> DriverConnection:
        return await connect_alone(engine, command_timeout=seconds)

    engine = create_async_engine(
        parsed.set(drivername="postgresql+asyncpg"),
        async_creator=connect,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=POOL_TIMEOUT.total_seconds(),
        json_serializer=_to_json,
        json_deserializer=from_json,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


async def connect_alone(
    engine: AsyncEngine, *, command_timeout: float | None = None
) -> DriverConnection:
    """Open a connection of asyncpg's own beside the pool, to where the engine connects."""
    dsn = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return await asyncpg.connect(
        dsn, timeout=CONNECT_TIMEOUT.total_seconds(), command_timeout=command_timeout
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One unit of work: committed at the end, rolled back if anything is raised.

    Raises:
        Unavailable: If PostgreSQL cannot be reached, went away, or did not answer in time.
    """
    try:
        async with engine.begin() as connection:
            yield connection
    except (DBAPIError, PoolTimeout, asyncpg.PostgresError, OSError) as error:
        raise _told(error) from error


@asynccontextmanager
async def statement(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A unit of work that is one statement; saves the round trips of BEGIN and COMMIT.

    Raises:
        Unavailable: As ``transaction`` does.
    """
    try:
        async with engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")
    except (DBAPIError, PoolTimeout, asyncpg.PostgresError, OSError) as error:
        raise _told(error) from error


async def lock(connection: AsyncConnection, name: str) -> None:
    """Let one transaction at a time go on under this name, over all processes.

    One whose process says nothing more is rolled back: of a machine that vanishes PostgreSQL hears
    nothing for hours, and all others would wait for it.
    """
    await connection.execute(_LOCK, {"name": f"holdfast {name}", "silence": _SILENCE})


async def ping(engine: AsyncEngine) -> None:
    """Ask PostgreSQL for a sign of life.

    Raises:
        Unavailable: If there is none.
    """
    async with statement(engine) as connection:
        await connection.execute(text("SELECT 1"))


def _refuse_closed(dbapi_connection: Any, *_: object) -> None:
    """Have the pool replace a connection that PostgreSQL closed while it lay there.

    asyncpg knows at once when the server hangs up, so this finds what a ping would find, without
    a round trip before every transaction.
    """
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError


def _told(error: Exception) -> Exception:
    """The error as the layers above know it: Unavailable, or unchanged where waiting won't help."""
    if isinstance(error, PoolTimeout):
        return Unavailable("all connections to PostgreSQL are busy")
    if isinstance(error, TimeoutError):
        return Unavailable("PostgreSQL did not answer in time")
    if isinstance(error, OSError):
        return Unavailable(f"PostgreSQL cannot be reached: {error}")
    code = _sqlstate(error)
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or code[:2] in _PASSING_CLASSES or code in _PASSING_CODES:
        reason = error.orig if isinstance(error, DBAPIError) else error
        return Unavailable(f"PostgreSQL cannot take this now: {reason}")
    return error


def _sqlstate(error: Exception) -> str:
    """The five letters that PostgreSQL gives an error; empty for one that asyncpg made up."""
    cause: object = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""


def _to_json(value: Any) -> str:
    """JSON that PostgreSQL takes: it knows neither NaN nor the NUL character.

    One of them in a health check's answer would otherwise keep an incident's record out for good.
    """
    written = to_json(value, inf_nan_mode="null").decode()
    if "\\u0000" not in written:
        return written
    return _ESCAPED_NUL.sub(r"\1\\ufffd", written)

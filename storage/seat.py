"""Owns seats: what one process at a time does, and another at once when that one is gone.

A seat is a lock that a connection of its own holds: when the process ends, or loses PostgreSQL,
the connection ends and the seat is free. Of a machine that vanishes PostgreSQL hears nothing for
hours, so that it also ends a connection on which nobody asks. For a moment two may think that they
have the seat, so what is done from it has to be harmless to do twice.
"""

from datetime import timedelta
from typing import Final

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.errors import Unavailable
from storage.database import DriverConnection, connect_alone, statement

# Whoever has it watches the outcomes of guarded calls.
MONITOR: Final = "monitor"

_ANSWER_TIMEOUT: Final = timedelta(seconds=2)
# Whoever has the seat asks about once a second.
_SILENCE: Final = timedelta(seconds=15)
_MILLISECOND: Final = timedelta(milliseconds=1)

# The client's own error is of a connection that PostgreSQL ends as it is asked something.
_LOST: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

# A lock on one number is shown as its two halves.
_IS_TAKEN = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND datname = current_database()
            AND (CAST(classid AS bigint) << 32 | CAST(objid AS bigint)) = hashtext(:name)
    )
""")


class Seat:
    """One process's claim to a seat.

    Args:
        engine: Where the processes meet.
        name: The seat's.
        silence: Who does not ask for so long loses it.
    """

    def __init__(self, engine: AsyncEngine, name: str, *, silence: timedelta = _SILENCE) -> None:
        self._engine = engine
        self._silence = silence
        self._name = _lock_name(name)
        self._connection: DriverConnection | None = None
        self._is_held = False

    async def held(self) -> bool:
        """Whether this process has the seat, as PostgreSQL says now; takes it if it is free.

        Raises:
            Unavailable: If PostgreSQL gives no answer: the seat is lost then.
        """
        try:
            if self._connection is None:
                seconds = _ANSWER_TIMEOUT.total_seconds()
                self._connection = await connect_alone(self._engine, command_timeout=seconds)
                limit = "SELECT set_config('idle_session_timeout', $1, false)"
                await self._connection.fetchval(limit, f"{self._silence // _MILLISECOND}ms")
            if self._is_held:
                await self._connection.execute("SELECT 1")
            else:
                take = "SELECT pg_try_advisory_lock(hashtext($1))"
                self._is_held = await self._connection.fetchval(take, self._name)
        except _LOST as error:
            self.leave()
            raise Unavailable(f"PostgreSQL cannot be reached: {error!r}") from error
        return self._is_held

    def leave(self) -> None:
        """Give the seat back, if this process has it."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._is_held = False


async def is_taken(engine: AsyncEngine, name: str) -> bool:
    """Whether any process has a seat.

    Raises:
        Unavailable: If PostgreSQL is away.
    """
    async with statement(engine) as connection:
        return bool(await connection.scalar(_IS_TAKEN, {"name": _lock_name(name)}))


def _lock_name(name: str) -> str:
    return f"holdfast seat of {name}"

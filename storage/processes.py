"""Owns the register of running processes: who is alive, since when, with which policy file."""

from datetime import timedelta
from enum import StrEnum

from pydantic import AwareDatetime
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.model import Model
from storage.database import statement, transaction
from storage.tables import processes

# Long enough that /status can still tell of a process that went missing.
FORGOTTEN_AFTER = timedelta(hours=1)


class ProcessKind(StrEnum):
    """What a process does."""

    API = "api"
    WORKER = "worker"


class Process(Model):
    """A running process.

    Attributes:
        seen_at: Its last heartbeat, by PostgreSQL's clock; set when read back.
        policy_hash: Tells whether all processes follow the same policy file.
    """

    id: str
    kind: ProcessKind
    host: str
    pid: int
    started_at: AwareDatetime
    seen_at: AwareDatetime | None = None
    policy_hash: str
    version: str


class Processes:
    """The register."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def heartbeat(self, process: Process) -> None:
        """Say that a process is alive, and forget those that have long been silent."""
        row = process.model_dump() | {"seen_at": func.now()}
        beat = insert(processes).values(row)
        beat = beat.on_conflict_do_update(index_elements=[processes.c.id], set_=row)
        # Skipping locked rows keeps two processes that return from a long pause out of a deadlock.
        silent = (
            select(processes.c.id)
            .where(processes.c.seen_at < func.now() - FORGOTTEN_AFTER)
            .with_for_update(skip_locked=True)
        )
        async with transaction(self._engine) as connection:
            await connection.execute(beat)
            await connection.execute(delete(processes).where(processes.c.id.in_(silent)))

    async def alive(self, within: timedelta) -> list[Process]:
        """The processes that gave a heartbeat lately, oldest first."""
        query = (
            select(processes)
            .where(processes.c.seen_at >= func.now() - within)
            .order_by(processes.c.started_at, processes.c.id)
        )
        async with statement(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [Process.model_validate(dict(row)) for row in rows]

    async def retire(self, process_id: str) -> None:
        """Take a process that ends off the register."""
        async with statement(self._engine) as connection:
            await connection.execute(delete(processes).where(processes.c.id == process_id))

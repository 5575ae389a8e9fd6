"""Owns the writing of records: facts into the audit log, states into the read models."""

from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.record import Record
from storage.audit import append_entries
from storage.database import transaction
from storage.snapshots import keep, subjects_of


class Records:
    """What workflows tell; written twice or out of order, it ends up the same."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def write(self, record: Record) -> None:
        """Write a record in one transaction; what is known already is passed over.

        Raises:
            Unavailable: If PostgreSQL cannot take it now.
            sqlalchemy.exc.DataError: If PostgreSQL will never take it; IntegrityError likewise.
        """
        if not record.entries:
            return
        subjects = subjects_of(record)
        last = record.entries[-1]
        async with transaction(self._engine) as connection:
            await append_entries(connection, record.entries, subjects=subjects)
            await keep(connection, subjects.items(), at=last.at, sequence=last.sequence)

"""Owns the rebuilding of the read models from the audit log: ``python -m storage.rebuild``."""

import asyncio
import sys

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncEngine

from config.settings import Settings
from holdfast.errors import HoldfastError
from storage.database import create_engine, transaction
from storage.migrate import database_url
from storage.snapshots import MODELS, Kind, keep, lock_guidance, tell_guidance
from storage.tables import entities, incidents

# Readers go on and see the old read models until the new ones are there; writers wait, and then
# find out whether what they bring is newer.
_LOCK = text("LOCK TABLE incidents, entities IN EXCLUSIVE MODE")

_LATEST = text("""
    SELECT DISTINCT ON (kind, key) kind, snapshot, at, sequence
    FROM audit,
        jsonb_each(subjects) AS subject (kind, snapshot),
        coalesce(snapshot ->> 'id', snapshot ->> 'service') AS key
    WHERE subjects IS NOT NULL
    ORDER BY kind, key, at DESC, sequence DESC
""")


async def rebuild(engine: AsyncEngine) -> int:
    """Empty the read models and fill them with the latest states that the audit log holds.

    Returns:
        How many states there are.
    """
    count = 0
    async with transaction(engine) as connection:
        # First, as a writer takes it before it waits for the tables.
        await lock_guidance(connection)
        await connection.execute(_LOCK)
        await connection.execute(delete(incidents))
        await connection.execute(delete(entities))
        async with connection.stream(_LATEST) as latest:
            async for kind, snapshot, at, sequence in latest:
                subject = MODELS[Kind(kind)].model_validate(snapshot)
                await keep(connection, [(Kind(kind), subject)], at=at, sequence=sequence)
                count += 1
        # Nobody tells of what was there and is no more.
        await tell_guidance(connection, "")
    return count


async def _main() -> str:
    engine = create_engine(database_url(Settings()), command_timeout=None)
    try:
        return f"rebuilt {await rebuild(engine)} states from the audit log"
    except HoldfastError as error:
        sys.exit(f"the read models were not rebuilt: {error}")
    finally:
        await engine.dispose()


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(_main()) + "\n")

"""The migrations make exactly the tables that the code is written for."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text

import storage.migrate
from storage.database import create_engine, transaction
from storage.migrate import is_at_head, migrate
from storage.tables import metadata


async def test_empty_database_reaches_head(databases):
    async with databases.empty() as url:
        engine = create_engine(url)
        assert not await is_at_head(engine)
        await migrate(url)
        assert await is_at_head(engine)
        await engine.dispose()


async def test_migrating_twice_changes_nothing(databases):
    async with databases.empty() as url:
        assert await migrate(url) == await migrate(url)


async def test_several_may_migrate_at_once(databases):
    async with databases.empty() as url:
        revisions = await asyncio.gather(*(migrate(url) for _ in range(5)))
        assert len(set(revisions)) == 1


async def test_what_clients_go_by_is_numbered_also_if_it_was_recorded_before(databases):
    """Who asks for what came after the beginning must be told of it."""
    states = """
        INSERT INTO entities (kind, service, snapshot, recorded_at, sequence)
        SELECT kind, service, '{}', now(), 1 FROM (VALUES
            ('breaker', 'a'), ('degradation', 'a'), ('recovery', 'a'), ('breaker', 'b')
        ) AS recorded (kind, service)
    """
    async with databases.empty() as url:
        engine = create_engine(url)
        async with transaction(engine) as connection:
            await connection.run_sync(_upgrade, "0004")
            await connection.execute(text(states))
        await migrate(url)
        async with transaction(engine) as connection:
            rows = await connection.execute(text("SELECT kind, revision FROM entities ORDER BY 2"))
            numbers = [tuple(row) for row in rows]
        await engine.dispose()
    assert numbers[0] == ("recovery", 0)
    assert [revision for _, revision in numbers] == [0, 1, 2, 3]


def _upgrade(connection, revision):
    config = Config(Path(storage.migrate.__file__).with_name("alembic.ini"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_tables_are_what_the_migrations_made(engine):
    def compare(connection):
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with transaction(engine) as connection:
        assert await connection.run_sync(compare) == []


async def test_names_of_constraints_and_indexes_are_what_the_migrations_made(databases, engine):
    """What compare_metadata does not look at: names, conditions and storage settings."""
    async with databases.empty() as url:
        made = create_engine(url)
        async with transaction(made) as connection:
            await connection.run_sync(metadata.create_all)
        assert await _shape(made) == await _shape(engine)
        await made.dispose()


async def _shape(engine):
    sql = """
        SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
            AND conrelid IS DISTINCT FROM to_regclass('alembic_version')
        UNION ALL SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        UNION ALL SELECT relname, reloptions::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
        ORDER BY 1, 2
    """
    async with transaction(engine) as connection:
        return (await connection.exec_driver_sql(sql)).all()

"""The two programs that operators run, as processes."""

from holdfast.domain.record import Record
from storage.database import create_engine
from storage.migrate import is_at_head
from storage.records import Records
from tests.storage.samples import an_entry, an_incident, run_module


async def test_migrate_prints_the_revision(databases):
    async with databases.empty() as url:
        code, out, err = await run_module("storage.migrate", HOLDFAST_DATABASE_URL=url)
        assert (code, err) == (0, "")
        assert out.startswith("the database is at revision ")
        assert out.count("\n") == 1
        engine = create_engine(url)
        assert await is_at_head(engine)
        await engine.dispose()


async def test_migrate_says_which_setting_is_missing():
    code, out, err = await run_module("storage.migrate")
    assert (code, out) == (1, "")
    assert "HOLDFAST_DATABASE_URL is not set" in err
    assert "Traceback" not in err


async def test_migrate_says_what_is_wrong_with_the_setting():
    code, _, err = await run_module("storage.migrate", HOLDFAST_DATABASE_URL="mysql://a:secret@b/c")
    assert code == 1
    assert "postgresql://" in err
    assert "secret" not in err


async def test_rebuild_prints_how_much_it_built(engine, database_url):
    record = Record(entries=(an_entry(),), incident=an_incident())
    await Records(engine).write(record)
    code, out, err = await run_module("storage.rebuild", HOLDFAST_DATABASE_URL=database_url)
    assert (code, err) == (0, "")
    assert out == "rebuilt 1 states from the audit log\n"

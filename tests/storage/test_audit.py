"""The audit log is added to and read, never changed."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from holdfast.domain.audit import AuditEvent
from holdfast.domain.severity import Severity
from holdfast.errors import InvalidInput
from storage.audit import Audit, AuditFilter
from storage.database import transaction
from storage.page import write_cursor
from tests.storage.samples import NOW, an_entry


@pytest.fixture
def audit(engine):
    return Audit(engine)


def sequences(page):
    return [entry.sequence for entry in page.items]


async def test_a_fact_comes_back_as_it_was_told(audit):
    entry = an_entry(
        incident_id="i1",
        category="network",
        severity=Severity.LOW,
        actor="ada",
        detail={"count": 3, "list": ["ä", None]},
    )
    await audit.append(entry)
    [stored] = (await audit.entries(AuditFilter())).items
    assert stored.model_dump(exclude={"id"}) == entry.model_dump()


async def test_a_fact_is_appended_once(audit):
    await audit.append(an_entry())
    await audit.append(an_entry())
    assert len((await audit.entries(AuditFilter())).items) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE false",
        "TRUNCATE audit",
    ],
)
async def test_facts_can_be_neither_changed_nor_removed(engine, audit, change):
    """Not even by a statement that would touch no row."""
    await audit.append(an_entry())
    with pytest.raises(ProgrammingError, match="only ever added to"):
        async with transaction(engine) as connection:
            await connection.execute(text(change))
    assert len((await audit.entries(AuditFilter())).items) == 1


@pytest.mark.parametrize("newest_first", [False, True])
async def test_facts_are_ordered_by_time_then_id_page_by_page(audit, newest_first):
    minutes = [3, 0, 0, 2, 0, 1, 3]
    for sequence, minute in enumerate(minutes, start=1):
        await audit.append(an_entry(sequence, at=NOW + timedelta(minutes=minute)))
    seen, cursor = [], None
    while True:
        page = await audit.entries(AuditFilter(), limit=2, cursor=cursor, newest_first=newest_first)
        seen += sequences(page)
        cursor = page.cursor
        if cursor is None:
            break
    oldest_first = [2, 3, 5, 6, 4, 1, 7]
    assert seen == (oldest_first[::-1] if newest_first else oldest_first)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"since": NOW + timedelta(minutes=2)}, [2, 3]),
        ({"until": NOW + timedelta(minutes=2)}, [1]),
        ({"service": "billing"}, [2]),
        ({"incident_id": "i9"}, [3]),
        ({"actor": "ada"}, [1, 3]),
        ({"event": AuditEvent.STEP_FAILED}, [2]),
        ({"severity": Severity.CRITICAL}, [3]),
        ({"actor": "ada", "severity": Severity.CRITICAL}, [3]),
        ({"service": "billing", "actor": "ada"}, []),
    ],
)
async def test_facts_can_be_narrowed_down(audit, wanted, found):
    await audit.append(an_entry(1, at=NOW + timedelta(minutes=1), actor="ada"))
    await audit.append(
        an_entry(2, at=NOW + timedelta(minutes=2), service="billing", event=AuditEvent.STEP_FAILED)
    )
    await audit.append(
        an_entry(
            3,
            at=NOW + timedelta(minutes=3),
            actor="ada",
            incident_id="i9",
            severity=Severity.CRITICAL,
        )
    )
    assert sequences(await audit.entries(AuditFilter(**wanted))) == found


@pytest.mark.parametrize("key", ["an incident's id", str(2**70), "-1"])
async def test_a_cursor_of_another_list_is_refused(audit, key):
    with pytest.raises(InvalidInput, match="another list"):
        await audit.entries(AuditFilter(), cursor=write_cursor(NOW, key))

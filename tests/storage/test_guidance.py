"""What clients go by is numbered in the order of its changes, and everybody is told."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.record import Record
from holdfast.domain.recovery import RecoveryState
from storage.database import statement, transaction
from storage.entities import Entities
from storage.notifications import Listener
from storage.rebuild import rebuild
from storage.records import Records
from storage.snapshots import GUIDANCE_CHANGED, Kind, keep
from tests.storage.samples import NOW, an_entry, an_incident, eventually


def a_record(sequence, **subject) -> Record:
    at = NOW + timedelta(seconds=sequence)
    return Record(entries=(an_entry(sequence, at=at),), **subject)


def a_breaker(service="channels", **fields) -> CircuitBreaker:
    return CircuitBreaker(service=service, **fields)


@asynccontextmanager
async def hearing(engine):
    """What is told of guidance, as it comes."""
    heard, connected = [], asyncio.Event()

    async def hear(message):
        heard.append(message.payload)

    async def note_connection():
        connected.set()

    listener = Listener(engine, [GUIDANCE_CHANGED], on_message=hear, on_connect=note_connection)
    task = asyncio.create_task(listener.run())
    await connected.wait()
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def revisions_of(engine):
    return [(each.subject.service, each.revision) for each in await Entities(engine).guides()]


async def test_each_change_has_a_greater_revision_than_the_one_before(engine):
    records = Records(engine)
    await records.write(a_record(1, breaker=a_breaker()))
    await records.write(a_record(2, degradation=Degradation(service="billing")))
    await records.write(a_record(3, breaker=a_breaker(epoch=1)))
    guides = await Entities(engine).guides()
    assert [each.subject for each in guides] == [Degradation(service="billing"), a_breaker(epoch=1)]
    assert [each.revision for each in guides] == sorted(each.revision for each in guides)
    first = guides[0].revision
    assert [each.subject.service for each in await Entities(engine).guides(after=first)] == [
        "channels"
    ]
    assert await Entities(engine).guides(after=guides[1].revision) == []


@pytest.mark.parametrize("what", ["again", "older"])
async def test_what_changes_nothing_has_no_new_revision(engine, what):
    newer = a_record(5, breaker=a_breaker(epoch=5))
    await Records(engine).write(newer)
    before = await revisions_of(engine)
    async with hearing(engine) as heard:
        told = newer if what == "again" else a_record(4, breaker=a_breaker(epoch=4))
        await Records(engine).write(told)
        await Records(engine).write(a_record(6, breaker=a_breaker("other")))
        await eventually(lambda: heard)
    assert heard == ["breaker:other"]
    assert before[0] in await revisions_of(engine)


async def test_breakers_and_degradations_are_told_of_and_nothing_else(engine):
    async with hearing(engine) as heard:
        await Records(engine).write(a_record(1, incident=an_incident()))
        await Records(engine).write(a_record(2, recovery=RecoveryState(service="channels")))
        await Records(engine).write(a_record(3, degradation=Degradation(service="channels")))
        await Records(engine).write(a_record(4, breaker=a_breaker()))
        await eventually(lambda: len(heard) > 1)
    assert heard == ["degradation:channels", "breaker:channels"]
    assert [service for service, _ in await revisions_of(engine)] == ["channels", "channels"]


async def test_a_later_revision_is_not_seen_before_an_earlier_one(engine):
    """Else whoever asks for what came after the later one would never see the earlier one."""
    async with transaction(engine) as connection:
        slow = [(Kind.BREAKER, a_breaker("slow"))]
        await keep(connection, slow, at=NOW, sequence=1)
        quick = asyncio.create_task(Records(engine).write(a_record(1, breaker=a_breaker("quick"))))
        await eventually(lambda: waits_for_a_lock(engine))
        assert await revisions_of(engine) == []
    await quick
    assert [service for service, _ in await revisions_of(engine)] == ["slow", "quick"]


async def test_nobody_who_follows_the_revisions_misses_a_change(engine):
    """However many write at once: reading on from the last one seen finds each state."""
    names = [f"svc-{number}" for number in range(30)]
    writing = asyncio.gather(
        *(Records(engine).write(a_record(1, breaker=a_breaker(name))) for name in names)
    )
    seen, after = [], 0
    while len(seen) < len(names):
        for guide in await Entities(engine).guides(after=after):
            seen.append(guide.subject.service)
            after = guide.revision
    await writing
    assert sorted(seen) == sorted(names)


async def test_a_rebuild_has_everybody_look_at_all(engine):
    await Records(engine).write(a_record(1, breaker=a_breaker()))
    [(_, before)] = await revisions_of(engine)
    async with hearing(engine) as heard:
        await rebuild(engine)
        await eventually(lambda: "" in heard)
    assert heard == ["breaker:channels", ""]
    [(_, after)] = await revisions_of(engine)
    assert after > before


async def test_a_rebuild_and_writers_do_not_wait_for_each_other_in_a_circle(engine):
    writing = [
        Records(engine).write(a_record(n, breaker=a_breaker(f"svc-{n % 3}"))) for n in range(1, 30)
    ]
    rebuilds = [rebuild(engine) for _ in range(3)]
    await asyncio.gather(*writing, *rebuilds)
    assert len(await Entities(engine).breakers()) == 3


async def waits_for_a_lock(engine):
    async with statement(engine) as connection:
        return await connection.scalar(
            text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        )

"""The register of processes."""

import asyncio
from datetime import timedelta

from sqlalchemy import text

from storage.database import transaction
from storage.processes import FORGOTTEN_AFTER, Process, Processes, ProcessKind
from tests.storage.samples import NOW

LATELY = timedelta(seconds=30)


def a_process(key="p1", **fields) -> Process:
    values = {
        "id": key,
        "kind": ProcessKind.WORKER,
        "host": "here",
        "pid": 7,
        "started_at": NOW,
        "policy_hash": "abc",
        "version": "0.1.0",
    }
    return Process(**values | fields)


async def age(engine, key, by):
    async with transaction(engine) as connection:
        await connection.execute(
            text("UPDATE processes SET seen_at = seen_at - CAST(:by AS interval) WHERE id = :id"),
            {"by": by, "id": key},
        )


async def test_a_heartbeat_tells_the_present_state(engine):
    processes = Processes(engine)
    await processes.heartbeat(a_process())
    await processes.heartbeat(a_process(policy_hash="def"))
    [found] = await processes.alive(LATELY)
    assert found.seen_at is not None
    assert found == a_process(policy_hash="def", seen_at=found.seen_at)


async def test_a_silent_process_is_not_alive_and_later_forgotten(engine):
    processes = Processes(engine)
    await processes.heartbeat(a_process("silent"))
    await age(engine, "silent", timedelta(minutes=1))
    await processes.heartbeat(a_process())
    assert [each.id for each in await processes.alive(LATELY)] == ["p1"]
    assert len(await processes.alive(timedelta(minutes=2))) == 2

    await age(engine, "silent", FORGOTTEN_AFTER)
    await processes.heartbeat(a_process())
    assert [each.id for each in await processes.alive(timedelta(days=1))] == ["p1"]


async def test_processes_that_return_from_a_long_pause_at_once_do_not_deadlock(engine):
    processes = Processes(engine)
    everyone = [a_process(f"p{n}") for n in range(12)]
    for each in everyone:
        await processes.heartbeat(each)
        await age(engine, each.id, FORGOTTEN_AFTER * 2)
    await asyncio.gather(*(processes.heartbeat(each) for each in everyone))
    await asyncio.gather(*(processes.heartbeat(each) for each in everyone))
    assert len(await processes.alive(LATELY)) == len(everyone)


async def test_a_process_that_ends_is_taken_off(engine):
    processes = Processes(engine)
    await processes.heartbeat(a_process())
    await processes.retire("p1")
    await processes.retire("p1")
    assert await processes.alive(LATELY) == []

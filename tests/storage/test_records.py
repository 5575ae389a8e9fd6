"""A record is written once, whatever is repeated or overtaken on the way."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from holdfast.domain.attempt import Attempt
from holdfast.domain.audit import AuditEvent
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.degradation import Degradation, DegradationLevel
from holdfast.domain.holds import Hold
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.record import Record
from holdfast.domain.recovery import RecoveryRequest, RecoveryState
from holdfast.domain.strategy import StepKind
from storage.audit import Audit, AuditFilter
from storage.database import transaction
from storage.entities import Entities
from storage.incidents import Incidents
from storage.rebuild import rebuild
from storage.records import Records
from tests.storage.samples import NOW, an_entry, an_incident

# Without the revisions: a rebuild is a change, of which clients hear.
ENTITIES = """
    SELECT kind, service, snapshot, recorded_at, sequence FROM entities ORDER BY kind, service
"""


def a_record(sequence, *, at=NOW, **subject) -> Record:
    return Record(entries=(an_entry(sequence, at=at),), **subject)


def a_step(n, status) -> Record:
    incident = an_incident(f"i{n % 7}", status=status, report_count=n + 1)
    entry = an_entry(
        n + 1,
        at=NOW + timedelta(seconds=n // 3),
        workflow_id=incident.workflow_id,
        incident_id=incident.id,
    )
    return Record(entries=(entry,), incident=incident)


async def entries_of(engine):
    return (await Audit(engine).entries(AuditFilter(), limit=1000)).items


async def read_models_of(engine):
    async with transaction(engine) as connection:
        incidents = await connection.execute(text("SELECT * FROM incidents ORDER BY id"))
        entities = await connection.execute(text(ENTITIES))
        return incidents.all(), entities.all()


async def test_a_record_puts_facts_and_state_in_their_places(engine):
    attempt = Attempt(step=StepKind.RETRY, action="retry", number=1, of=3, started_at=NOW)
    incident = an_incident(attempts=(attempt,))
    await Records(engine).write(Record(entries=(an_entry(1), an_entry(2)), incident=incident))
    assert await Incidents(engine).get("i1") == incident
    assert [entry.sequence for entry in await entries_of(engine)] == [1, 2]


async def test_writing_twice_is_writing_once(engine):
    record = a_record(1, incident=an_incident())
    await Records(engine).write(record)
    before = await read_models_of(engine)
    await Records(engine).write(record)
    assert await read_models_of(engine) == before
    assert len(await entries_of(engine)) == 1


async def test_a_record_that_overlaps_an_earlier_one_adds_what_is_new(engine):
    await Records(engine).write(a_record(1, incident=an_incident(report_count=1)))
    both = Record(entries=(an_entry(1), an_entry(2)), incident=an_incident(report_count=2))
    await Records(engine).write(both)
    assert [entry.sequence for entry in await entries_of(engine)] == [1, 2]
    assert (await Incidents(engine).get("i1")).report_count == 2


async def test_an_older_state_never_takes_a_newer_ones_place(engine):
    """Neither by time, nor by sequence within one moment."""
    later = NOW + timedelta(seconds=1)
    await Records(engine).write(a_record(3, at=later, incident=an_incident(report_count=3)))
    await Records(engine).write(a_record(9, incident=an_incident(report_count=9)))
    await Records(engine).write(a_record(2, at=later, incident=an_incident(report_count=2)))
    assert (await Incidents(engine).get("i1")).report_count == 3
    assert len(await entries_of(engine)) == 3


async def test_records_written_at_once_end_in_the_newest_state(engine):
    records = [a_record(n, incident=an_incident(report_count=n)) for n in range(1, 21)]
    await asyncio.gather(*(Records(engine).write(record) for record in reversed(records)))
    assert (await Incidents(engine).get("i1")).report_count == 20


async def test_a_new_run_of_an_entity_goes_on_where_the_last_ended(engine):
    """A run counts its facts from one again; its time says that it is newer."""
    opened = CircuitBreaker(service="channels").held(
        Hold(incident_id="i1", reason="down", since=NOW), at=NOW
    )
    await Records(engine).write(a_record(5, breaker=opened))
    later = NOW + timedelta(hours=1)
    entry = an_entry(1, at=later, run_id="another run", event=AuditEvent.BREAKER_CHANGED)
    await Records(engine).write(Record(entries=(entry,), breaker=opened.released("i1", at=later)))
    assert (await Entities(engine).breaker("channels")).status is BreakerStatus.HALF_OPEN


async def test_a_record_without_state_is_facts_alone(engine):
    await Records(engine).write(a_record(1))
    await Records(engine).write(Record(entries=()))
    assert await read_models_of(engine) == ([], [])


async def test_what_postgresql_cannot_hold_does_not_keep_a_record_out(engine):
    r"""A failing service may answer anything: NUL characters, not-a-number, a literal \u0000."""
    entry = an_entry(
        1, summary="it said \0", detail={"a": "\0", "b": float("nan"), "c": "\\u0000", "d\0": 1}
    )
    incident = an_incident(note="nul: \0, literal: \\u0000, both: \\\0")
    await Records(engine).write(Record(entries=(entry,), incident=incident))

    [stored] = await entries_of(engine)
    assert stored.summary == "it said \ufffd"
    assert stored.detail == {"a": "\ufffd", "b": None, "c": "\\u0000", "d\ufffd": 1}
    kept = await Incidents(engine).get("i1")
    assert kept.note == "nul: \ufffd, literal: \\u0000, both: \\\ufffd"


async def test_entities_come_back_by_kind_and_service(engine):
    levels = (DegradationLevel(name="mild", features_off=("preview",)),)
    hold = Hold(incident_id="i1", reason="slow", since=NOW)
    degraded = Degradation(service="channels").held(hold, levels=levels, at=NOW)
    full = Degradation(service="billing")
    request = RecoveryRequest(id="r1", service="channels", action_name="restart")
    recovery, _ = RecoveryState(service="channels").requested(request)
    records = Records(engine)
    await records.write(a_record(1, degradation=degraded))
    await records.write(a_record(2, degradation=full))
    await records.write(a_record(3, recovery=recovery))

    entities = Entities(engine)
    assert await entities.degradations() == [full, degraded]
    assert await entities.degraded() == [degraded]
    assert await entities.degradation("billing") == full
    assert await entities.recoveries() == [recovery]
    assert await entities.recovery("channels") == recovery
    assert await entities.breakers() == []
    assert await entities.breaker("channels") is None


async def test_a_rebuild_equals_the_original(engine):
    records = Records(engine)
    statuses = list(IncidentStatus)
    steps = [a_step(n, statuses[n % len(statuses)]) for n in range(60)]
    await asyncio.gather(*(records.write(step) for step in steps))
    hold = Hold(incident_id="i1", reason="slow", since=NOW)
    both = {
        "breaker": CircuitBreaker(service="channels").held(hold, at=NOW),
        "degradation": Degradation(service="billing"),
    }
    await records.write(a_record(100, **both))
    await records.write(a_record(101, recovery=RecoveryState(service="channels")))
    await records.write(a_record(102))
    original = await read_models_of(engine)

    assert await rebuild(engine) == 7 + 3
    assert await read_models_of(engine) == original


async def test_a_rebuild_restores_what_was_spoilt(engine):
    await Records(engine).write(a_record(1, incident=an_incident()))
    original = await read_models_of(engine)
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE incidents SET status = 'resolved', snapshot = '{}'"))
        await connection.execute(
            text("INSERT INTO entities VALUES ('breaker', 'ghost', '{}', now(), 1)")
        )
    await rebuild(engine)
    assert await read_models_of(engine) == original


async def test_records_may_be_written_while_a_rebuild_runs(engine):
    """Whoever comes last, the newest state stands, and readers see no gap."""
    records, incidents = Records(engine), Incidents(engine)
    await records.write(a_record(1, incident=an_incident(report_count=1)))
    seen = []

    async def read():
        seen.append(await incidents.get("i1"))

    writes = [
        records.write(a_record(n, incident=an_incident(report_count=n))) for n in range(2, 12)
    ]
    work = [job for write in writes for job in (write, rebuild(engine), read())]
    await asyncio.gather(*work)
    assert all(seen)
    assert (await incidents.get("i1")).report_count == 11


@pytest.mark.parametrize("status", list(IncidentStatus))
async def test_every_status_is_listed_as_active_unless_resolved(engine, status):
    await Records(engine).write(a_record(1, incident=an_incident(status=status)))
    listed = (await Incidents(engine).active()).items
    assert bool(listed) is (status is not IncidentStatus.RESOLVED)

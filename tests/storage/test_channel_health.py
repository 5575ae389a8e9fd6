"""Whether channels and calendars work, and the facts that are made of it."""

import asyncio
from datetime import timedelta

import pytest

from holdfast.domain.audit import AuditEvent
from holdfast.domain.notification import FailureKind
from storage.audit import Audit, AuditFilter
from storage.channel_health import ChannelHealth, Failure, Health
from tests.storage.samples import NOW

KEY = "channels.slack"
REFUSED = Failure(FailureKind.CONFIGURATION, "Slack answered invalid_auth")
SILENT = Failure(None, "no answer within 30 s")


def minutes(count):
    return NOW + timedelta(minutes=count)


@pytest.fixture
def health(engine):
    return ChannelHealth(engine)


async def facts(engine):
    entries = (await Audit(engine).entries(AuditFilter())).items
    return [(entry.event, entry.summary) for entry in entries]


async def test_what_works_at_its_first_check_is_no_news(engine, health):
    assert not await health.note(KEY, failure=None, at=NOW)
    assert await health.all() == [Health(key=KEY, ok=True, since=NOW, checked_at=NOW)]
    assert await facts(engine) == []


async def test_a_failure_is_on_the_record_once(engine, health):
    """However often it is found again, and whatever it is that fails by then."""
    assert await health.note(KEY, failure=REFUSED, at=NOW)
    assert not await health.note(KEY, failure=REFUSED, at=minutes(10))
    assert not await health.note(KEY, failure=SILENT, at=minutes(20))
    assert await facts(engine) == [
        (
            AuditEvent.CHANNEL_FAILED,
            "channels.slack does not work: Slack answered invalid_auth",
        )
    ]


async def test_the_last_check_is_shown_and_since_when_it_is_so(health):
    await health.note(KEY, failure=REFUSED, at=NOW)
    await health.note(KEY, failure=SILENT, at=minutes(10))
    [found] = await health.all()
    assert (found.ok, found.kind, found.reason) == (False, None, "no answer within 30 s")
    assert (found.since, found.checked_at) == (NOW, minutes(10))


async def test_its_recovery_is_on_the_record_too(engine, health):
    await health.note(KEY, failure=None, at=NOW)
    assert await health.note(KEY, failure=REFUSED, at=minutes(10))
    assert await health.note(KEY, failure=None, at=minutes(20))
    [found] = await health.all()
    assert found == Health(key=KEY, ok=True, since=minutes(20), checked_at=minutes(20))
    assert (await facts(engine))[-1] == (
        AuditEvent.CHANNEL_RECOVERED,
        "channels.slack works again",
    )


async def test_a_fact_names_the_key_and_the_reason(engine, health):
    """So that it can be found and followed without reading sentences."""
    await health.note(KEY, failure=REFUSED, at=NOW)
    [entry] = (await Audit(engine).entries(AuditFilter(event=AuditEvent.CHANNEL_FAILED))).items
    assert entry.detail == {
        "key": KEY,
        "kind": "configuration",
        "reason": "Slack answered invalid_auth",
    }


async def test_workers_that_find_the_same_at_once_tell_of_it_once(engine, health):
    changes = await asyncio.gather(
        *(health.note(KEY, failure=REFUSED, at=NOW) for _ in range(8)),
        health.note("schedules.primary", failure=SILENT, at=NOW),
    )
    assert sum(changes) == 2
    assert len(await facts(engine)) == 2
    assert [each.key for each in await health.all()] == [KEY, "schedules.primary"]


async def test_a_reason_may_hold_what_postgresql_cannot(health):
    await health.note(KEY, failure=Failure(FailureKind.REJECTED, "it said \0"), at=NOW)
    [found] = await health.all()
    assert found.reason == "it said \ufffd"

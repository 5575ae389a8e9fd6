"""Silences: kept with their facts, told to all processes, listed page by page."""

import asyncio
from datetime import timedelta

import pytest

from holdfast.domain.audit import AuditEvent
from holdfast.domain.silence import Matcher, Silence
from holdfast.errors import Conflict, InvalidInput, NotFound
from storage.audit import Audit, AuditFilter
from storage.notifications import Listener
from storage.presence import SILENCES_CHANGED
from storage.silences import Silences
from tests.storage.samples import NOW, eventually

HOUR = timedelta(hours=1)


@pytest.fixture
def silences(engine):
    return Silences(engine)


def a_silence(silence_id="s1", *, at=NOW, **fields):
    values = {
        "id": silence_id,
        "match": Matcher(service=("channels",), labels={"region": "eu*"}),
        "starts_at": NOW,
        "ends_at": NOW + HOUR,
        "created_by": "ada",
        "reason": "the disks are being replaced",
        "created_at": at,
        "over_at": NOW + HOUR,
    }
    return Silence(**values | fields)


async def facts(engine):
    return (await Audit(engine).entries(AuditFilter())).items


async def test_a_silence_comes_back_as_it_was_kept(silences):
    silence = a_silence(recurrence="FREQ=DAILY", time_zone="Europe/Berlin", over_at=None)
    await silences.create(silence)
    assert await silences.get("s1") == silence


async def test_an_unknown_silence_is_not_found(silences):
    with pytest.raises(NotFound, match="s1"):
        await silences.get("s1")
    with pytest.raises(NotFound, match="s1"):
        await silences.end("s1", by="ada", at=NOW)


async def test_making_and_ending_one_are_facts_with_their_actors(silences, engine):
    await silences.create(a_silence())
    ended = await silences.end("s1", by="grace", at=NOW + HOUR / 2)
    assert (ended.ended_by, ended.ended_at) == ("grace", NOW + HOUR / 2)
    assert await silences.get("s1") == ended
    made, over = await facts(engine)
    assert (made.event, made.actor, made.service) == (
        AuditEvent.SILENCE_CREATED,
        "ada",
        "channels",
    )
    subject = "service channels, region=eu*"
    assert made.summary == f"ada silenced {subject}: the disks are being replaced"
    assert (over.event, over.actor, over.at) == (
        AuditEvent.SILENCE_ENDED,
        "grace",
        NOW + HOUR / 2,
    )
    assert over.summary.startswith(f"grace ended the silence of {subject}")
    assert over.detail["silence"]["ended_by"] == "grace"


async def test_a_pattern_is_no_service_on_the_record(silences, engine):
    await silences.create(a_silence(match=Matcher(service=("chan*",))))
    await silences.create(a_silence("s2", match=Matcher()))
    assert [each.service for each in await facts(engine)] == [None, None]


async def test_one_that_is_over_cannot_be_ended_and_leaves_no_fact(silences, engine):
    await silences.create(a_silence())
    with pytest.raises(Conflict, match="over since 2026-03-01T13:00"):
        await silences.end("s1", by="grace", at=NOW + HOUR)
    await silences.end("s1", by="ada", at=NOW)
    with pytest.raises(Conflict, match="ada ended it at 2026-03-01T12:00"):
        await silences.end("s1", by="grace", at=NOW)
    assert len(await facts(engine)) == 2


async def test_of_two_who_end_it_at_once_one_does(silences, engine):
    await silences.create(a_silence())
    ends = (silences.end("s1", by=by, at=NOW) for by in ("ada", "grace"))
    answers = await asyncio.gather(*ends, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Conflict, Silence}
    assert len(await facts(engine)) == 2


async def test_all_processes_are_told(silences, engine):
    heard, connected = [], asyncio.Event()

    async def on_message(message):
        heard.append(message)

    async def on_connect():
        connected.set()

    listener = Listener(engine, [SILENCES_CHANGED], on_message=on_message, on_connect=on_connect)
    listening = asyncio.create_task(listener.run())
    await connected.wait()
    await silences.create(a_silence())
    await silences.end("s1", by="ada", at=NOW)
    await eventually(lambda: len(heard) == 2)
    listening.cancel()
    assert [message.payload for message in heard] == ["s1", "s1"]


async def test_they_come_newest_first_page_by_page(silences):
    for number in range(5):
        await silences.create(a_silence(f"s{number}", at=NOW + number // 2 * HOUR))
    page = await silences.list(now=NOW, limit=3)
    assert [each.id for each in page.items] == ["s4", "s3", "s2"]
    page = await silences.list(now=NOW, limit=3, before=page.cursor)
    assert [each.id for each in page.items] == ["s1", "s0"]
    assert page.cursor is None
    with pytest.raises(InvalidInput, match="cursor"):
        await silences.list(now=NOW, before="made up")


async def test_those_over_and_those_standing_are_all(silences):
    await silences.create(a_silence("over"))
    await silences.create(a_silence("later", over_at=NOW + 3 * HOUR))
    await silences.create(a_silence("always", over_at=None, at=NOW + HOUR))
    await silences.create(a_silence("ended", over_at=None))
    await silences.end("ended", by="ada", at=NOW)
    now = NOW + 2 * HOUR

    async def listed(*, over):
        return [each.id for each in (await silences.list(now=now, over=over)).items]

    assert await listed(over=False) == ["always", "later"]
    assert await listed(over=True) == ["over", "ended"]
    assert len(await listed(over=None)) == 4
    assert [each.id for each in await silences.standing(now)] == ["always", "later"]

"""Outcomes add up by the second, and a window holds what the rules say."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold
from holdfast.domain.outcome import MOST_CALLS, Outcomes
from holdfast.domain.record import Record
from storage.database import statement
from storage.outcomes import OUTCOMES_TOLD, OutcomeLedger, ToldOutcomes
from storage.records import Records
from tests.storage.samples import an_entry, eventually
from tests.storage.test_notifications import listening

RULES = BreakerRules()


@pytest.fixture
def ledger(engine):
    return OutcomeLedger(engine)


def told(calls=1, failures=0, slow=0, *, service="payments", reporter="one", epoch=0):
    outcomes = Outcomes(calls=calls, failures=failures, slow=slow)
    return ToldOutcomes(service, reporter, epoch, outcomes)


def sums(*numbers):
    calls, failures, slow = numbers
    return Outcomes.model_construct(calls=calls, failures=failures, slow=slow)


async def opened(engine, service="payments"):
    """Put an open breaker, of epoch 1, on the record."""
    at = datetime.now(UTC)
    hold = Hold(incident_id="i1", reason="it broke", since=at)
    breaker = CircuitBreaker(service=service).held(hold, at=at)
    await Records(engine).write(Record(entries=(an_entry(),), breaker=breaker))


async def pass_by(engine, span):
    """Make all that is written so much older."""
    age = text("UPDATE outcomes SET second = second - CAST(:span AS interval)")
    async with statement(engine) as connection:
        await connection.execute(age, {"span": span})


async def window(ledger, rules=RULES, service="payments"):
    [found] = await ledger.windows({service: rules})
    return found


async def test_what_is_told_adds_up_by_reporter(ledger):
    """Within one telling, in the next of the same second, and in another second."""
    await ledger.add([told(5, 1, 2), told(3, reporter="two"), told(2, 2)])
    await ledger.add([told(10, 0, 1)])
    found = await window(ledger)
    assert found.by_reporter == {"one": sums(17, 3, 3), "two": sums(3, 0, 0)}
    assert found.total == sums(20, 3, 3)


async def test_a_service_without_calls_has_no_window(ledger):
    await ledger.add([told()])
    assert [each.service for each in await ledger.windows({"payments": RULES, "news": RULES})] == [
        "payments"
    ]
    assert await ledger.windows({}) == []


async def test_a_window_is_of_its_own_service_and_its_own_length(engine, ledger):
    await ledger.add([told(), told(4, service="news")])
    await pass_by(engine, timedelta(seconds=40))
    await ledger.add([told(2), told(6, service="news")])
    longer = BreakerRules(window=timedelta(minutes=1))
    found = await ledger.windows({"payments": RULES, "news": longer})
    assert {each.service: each.total.calls for each in found} == {"payments": 2, "news": 10}


async def test_no_window_is_shorter_than_its_rule(engine, ledger):
    """Be it a single second, of which a part has passed."""
    await ledger.add([told()])
    short = BreakerRules(window=timedelta(seconds=1))
    assert (await window(ledger, short)).total.calls == 1
    await pass_by(engine, timedelta(seconds=2))
    assert await ledger.windows({"payments": short}) == []


async def test_only_the_breakers_present_epoch_counts(engine, ledger):
    """What was admitted before the breaker opened says nothing about the time after."""
    await ledger.add([told(7, 7)])
    assert (await window(ledger)).status is BreakerStatus.CLOSED
    await opened(engine)
    await ledger.add([told(9), told(2, epoch=1)])
    found = await window(ledger)
    assert (found.epoch, found.status, found.total.calls) == (1, BreakerStatus.OPEN, 2)


async def test_who_knows_no_epoch_counts_in_the_present_one(engine, ledger):
    """Also beside one that named it, for the same reporter."""
    await ledger.add([told(epoch=None)])
    assert (await window(ledger)).total.calls == 1
    await opened(engine)
    await ledger.add([told(2, epoch=None), told(3, epoch=1)])
    assert (await window(ledger)).by_reporter == {"one": sums(5, 0, 0)}


async def test_of_a_limited_window_the_newest_seconds_count(engine, ledger):
    """Over all reporters; the second that reaches the number counts whole."""
    for calls in (100, 8, 4, 3):
        await pass_by(engine, timedelta(seconds=3))
        await ledger.add([told(calls), told(1, reporter="two")])
    counted = {
        most: (await window(ledger, BreakerRules(window_calls=most, minimum_calls=1))).total.calls
        for most in (1, 4, 5, 9, 10, 18, 19, 1000)
    }
    assert counted == {1: 4, 4: 4, 5: 9, 9: 9, 10: 18, 18: 18, 19: 119, 1000: 119}


async def test_sums_may_be_larger_than_a_single_telling(ledger):
    await ledger.add([told(MOST_CALLS, MOST_CALLS), told(MOST_CALLS)])
    assert (await window(ledger)).total == sums(2 * MOST_CALLS, MOST_CALLS, 0)


async def test_the_troubled_are_those_with_failed_or_slow_calls(engine, ledger):
    await ledger.add([told(9, service="well"), told(1, 1), told(1, 0, 1, service="slow")])
    assert await ledger.troubled(within=timedelta(seconds=30)) == ["payments", "slow"]
    await pass_by(engine, timedelta(seconds=40))
    assert await ledger.troubled(within=timedelta(seconds=30)) == []


async def test_what_is_old_is_forgotten(engine, ledger):
    await ledger.add([told(1, 1)])
    await pass_by(engine, timedelta(minutes=2))
    await ledger.add([told(2, 2)])
    await ledger.forget(age=timedelta(minutes=1))
    longest = BreakerRules(window=timedelta(minutes=10))
    assert (await window(ledger, longest)).total.calls == 2


async def test_what_is_old_is_forgotten_some_at_a_time(engine, ledger):
    """However much there is, each statement ends in time; several processes share it."""
    await ledger.add([told(reporter=f"r{n}") for n in range(5)])
    await pass_by(engine, timedelta(minutes=2))
    minute = timedelta(minutes=1)
    assert [await ledger.forget(age=minute, most=2) for _ in range(3)] == [True, True, False]
    await ledger.add([told(reporter=f"r{n}") for n in range(100)])
    await pass_by(engine, timedelta(minutes=2))
    await asyncio.gather(*(ledger.forget(age=minute, most=30) for _ in range(4)))
    assert await ledger.forget(age=minute, most=1000) is False
    assert await ledger.windows({"payments": BreakerRules(window=timedelta(minutes=10))}) == []


async def test_only_trouble_is_told_of(engine, ledger):
    """With the names of the services, each once."""
    async with listening(engine, OUTCOMES_TOLD) as (ear, _):
        await ledger.add([told(9), told(8, service="news")])
        await ledger.add([told(9, 1), told(1, 1, reporter="two"), told(1, 0, 1, service="news")])
        await eventually(lambda: bool(ear.heard))
        assert ear.heard == [(OUTCOMES_TOLD, "news,payments")]


async def test_more_names_than_a_message_holds_are_left_out(engine, ledger):
    """Whoever listens looks at all then."""
    async with listening(engine, OUTCOMES_TOLD) as (ear, _):
        await ledger.add([told(1, 1, service=f"{n:03}{'x' * 90}") for n in range(100)])
        await eventually(lambda: bool(ear.heard))
        assert ear.heard == [(OUTCOMES_TOLD, "")]


async def test_several_processes_add_to_the_same_rows(ledger):
    """In whatever order each names them, none is lost and none waits for ever."""
    rows = [told(1, 1, service=f"s{n}") for n in range(20)]
    started = time.monotonic()
    await asyncio.gather(*(ledger.add(rows[n % 20 :] + rows[: n % 20]) for n in range(40)))
    assert time.monotonic() - started < 10
    found = await ledger.windows({f"s{n}": RULES for n in range(20)})
    assert {each.total.calls for each in found} == {40}


async def test_the_ledger_costs_no_write_ahead_log(engine):
    async with statement(engine) as connection:
        kind = "SELECT relpersistence FROM pg_class WHERE oid = 'outcomes'::regclass"
        assert await connection.scalar(text(kind)) == b"u"

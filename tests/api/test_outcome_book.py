"""The outcome book folds what it takes, writes it a few times a second, and keeps it seconds."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from api.outcome_book import OutcomeBook
from holdfast.domain.outcome import OutcomeBatch, Outcomes, ServiceOutcomes
from holdfast.domain.policy import Policy
from holdfast.domain.report import CountedReport
from holdfast.errors import Unavailable
from tests.api.stage import eventually


def a_batch(calls=1, failures=0, *, reporter="one"):
    outcomes = ServiceOutcomes(service="payments", epoch=0, calls=calls, failures=failures)
    return OutcomeBatch(reporter=reporter, outcomes=(outcomes,))


async def until(condition):
    async def held():
        return condition()

    await eventually(held)


class Ledger:
    """Keeps what is written; refuses as long as a test wants."""

    def __init__(self):
        self.writes = []
        self.error = None
        self.refusals = 0
        self.old = 0
        self.forgotten_ages = []

    async def add(self, told):
        if self.error:
            self.refusals += 1
            raise self.error
        self.writes.append(told)

    async def forget(self, *, age):
        self.forgotten_ages.append(age)
        self.old = max(self.old - 1, 0)
        return self.old > 0

    @property
    def calls(self):
        return sum(each.outcomes.calls for told in self.writes for each in told)


@pytest.fixture
async def ledger():
    return Ledger()


@asynccontextmanager
async def writing(ledger, **limits):
    book = OutcomeBook(ledger, policy=Policy, **limits)
    await book.start()
    yield book
    await book.stop()


@pytest.fixture
async def book(ledger):
    async with writing(ledger) as book:
        yield book


async def test_what_comes_during_a_write_goes_with_the_next(book, ledger):
    for _ in range(100):
        book.take(a_batch(2, 1))
        await asyncio.sleep(0)
    await until(lambda: ledger.calls == 200)
    assert len(ledger.writes) <= 2


async def test_what_is_old_is_dropped_and_counted(ledger):
    """And said once; what comes when PostgreSQL is back is written."""
    ledger.error = Unavailable("PostgreSQL is away")
    nothing = timedelta(0)
    with capture_logs() as logs:
        async with writing(ledger, kept=nothing, avoidance=nothing) as book:
            for n in range(1, 4):
                book.take(a_batch(5))
                await until(lambda n=n: book.dropped == 5 * n)
            ledger.error = None
            book.take(a_batch(3))
            await until(lambda: ledger.calls == 3)
    assert [each["event"] for each in logs] == ["outcomes of guarded calls are dropped"]


async def test_what_is_new_waits_for_postgresql(ledger):
    ledger.error = Unavailable("PostgreSQL is away")
    async with writing(ledger, avoidance=timedelta(0)) as book:
        for _ in range(3):
            book.take(a_batch(5))
            await until(lambda: ledger.refusals > 0)
            ledger.refusals = 0
        ledger.error = None
        await until(lambda: ledger.calls == 15)
        assert book.dropped == 0


async def test_what_can_never_be_written_does_not_stay(book, ledger):
    ledger.error = ValueError("no such column")
    book.take(a_batch(4))
    await until(lambda: book.dropped == 4)
    ledger.error = None
    book.take(a_batch(3))
    await until(lambda: ledger.calls == 3)


async def test_no_more_waits_than_there_is_room_for(ledger):
    async with writing(ledger, most=3) as book:
        for n in range(10):
            book.take(a_batch(reporter=f"r{n % 5}"))
        await until(lambda: ledger.calls == 6)
        assert book.dropped == 4


async def test_the_last_is_written_at_the_end(ledger):
    book = OutcomeBook(ledger, policy=Policy)
    await book.start()
    book.take(a_batch(2))
    await book.stop()
    assert ledger.calls == 2


async def test_nothing_is_written_where_nothing_came(ledger):
    """Not at the end either: PostgreSQL may be away then."""
    async with writing(ledger):
        pass
    assert ledger.writes == []


async def test_what_no_window_reaches_is_forgotten_until_nothing_of_it_is_left(ledger):
    """By those who write it, so that it does not pile up while no worker is there."""
    ledger.old = 3
    policy = Policy.model_validate({"services": {"payments": {"breaker": {"window": "2m"}}}})
    book = OutcomeBook(ledger, policy=lambda: policy)
    await book.start()
    await until(lambda: ledger.old == 0)
    await book.stop()
    assert ledger.forgotten_ages == [timedelta(minutes=2, seconds=10)] * 3


@pytest.mark.parametrize(
    ("rules", "counted"),
    [
        ({}, 5),
        ({"reports_count": False}, 0),
        ({"count_only": ["LookupError"]}, 5),
        ({"count_only": ["OSError"]}, 0),
        ({"ignore": ["KeyError"]}, 0),
    ],
)
async def test_the_rules_say_which_reports_count(ledger, rules, counted):
    policy = Policy.model_validate({"services": {"payments": {"breaker": rules}}})
    book = OutcomeBook(ledger, policy=lambda: policy)
    reports = [
        CountedReport(
            service="payments",
            error_type="KeyError",
            error_bases=("LookupError",),
            message="broke",
            count=count,
        )
        for count in (2, 3)
    ]
    book.take_reports(reports)
    await book.start()
    await book.stop()
    assert ledger.calls == counted
    told = [each for write in ledger.writes for each in write]
    assert all(each.outcomes == Outcomes(calls=5, failures=5) for each in told)
    assert all(each.epoch is None for each in told)


@pytest.mark.parametrize(
    ("first", "last", "counted"), [(1, 1, 7), (300, 1, 1), (300, 300, 0), (None, 1, 7)]
)
async def test_errors_of_long_ago_say_nothing_about_now(ledger, first, last, counted):
    """As when a client sends what it kept while the API was away; of many, the last is one."""
    now = datetime.now(UTC)
    report = CountedReport(
        service="payments",
        error_type="Broken",
        message="broke",
        count=7,
        first_occurred_at=first and now - timedelta(seconds=first),
        occurred_at=now - timedelta(seconds=last),
    )
    async with writing(ledger) as book:
        book.take_reports([report])
    assert ledger.calls == counted

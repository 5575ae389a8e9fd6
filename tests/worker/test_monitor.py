"""The monitor trips the breakers of services whose calls go badly over the whole fleet."""

import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from temporalio.worker import Worker

from activities.record import RecordActivities
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker, ModeHold
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold
from holdfast.domain.outcome import Outcomes
from holdfast.domain.policy import Policy
from holdfast.domain.record import Record
from holdfast.errors import Unavailable
from storage.database import create_engine, statement
from storage.entities import Entities
from storage.migrate import migrate
from storage.outcomes import OutcomeLedger, ToldOutcomes
from storage.records import Records
from tests.api.conftest import dev_server
from tests.conftest import start_postgres
from tests.storage.samples import an_entry, eventually
from tests.storage.test_notifications import hang_up
from worker.monitor import Monitor, tripping
from workflows.breaker import CircuitBreakerWorkflow
from workflows.messages import TripBreaker

POLICY = Policy.model_validate({"services": {"quick": {"breaker": {"minimum_calls": 2}}}})
SOON = timedelta(milliseconds=200)


class Breakers:
    """Keeps which breakers were told to trip; cannot be reached as long as a test wants."""

    def __init__(self):
        self.trips = []
        self.tries = 0
        self.away = False

    async def trip(self, message):
        self.tries += 1
        if self.away:
            raise Unavailable("Temporal is away")
        self.trips.append(message)

    @property
    def edges(self):
        return [(each.service, each.epoch) for each in self.trips]


@pytest.fixture
async def breakers():
    return Breakers()


def a_monitor(engine, breakers, **times):
    return Monitor(engine, policy=lambda: POLICY, trip=breakers.trip, **times)


@asynccontextmanager
async def watching(engine, breakers, **times):
    monitor = a_monitor(engine, breakers, **times)
    await monitor.start()
    try:
        await eventually(lambda: monitor.is_watching)
        yield monitor
    finally:
        await monitor.stop()


async def tell(engine, *calls, service="payments", epoch=0):
    """Has reporters tell: each one's calls, and how many of them failed."""
    told = [
        ToldOutcomes(service, f"r{n}", epoch, Outcomes(calls=each, failures=failed))
        for n, (each, failed) in enumerate(calls)
    ]
    await OutcomeLedger(engine).add(told)


async def record(engine, breaker):
    now = datetime.now(UTC)
    entry = an_entry(breaker.epoch + 1, at=now, workflow_id=f"breaker:{breaker.service}")
    await Records(engine).write(Record(entries=(entry,), breaker=breaker))


def an_open_breaker(service="payments"):
    hold = Hold(incident_id="i1", reason="it broke", since=datetime.now(UTC))
    return CircuitBreaker(service=service).held(hold, at=hold.since)


async def looked(engine, breakers):
    """Waits until the monitor has seen all that was told before: a known edge comes after it."""
    service = f"marker-{len(breakers.trips)}"
    await tell(engine, (100, 100), service=service)
    await eventually(lambda: (service, 0) in breakers.edges)
    return [each for each in breakers.edges if not each[0].startswith("marker-")]


async def test_a_fleet_whose_calls_fail_trips(engine, breakers):
    """Of twenty replicas, each of which has too few calls to say anything by itself."""
    async with watching(engine, breakers):
        await tell(engine, *[(5, 5)] * 20)
        await eventually(lambda: bool(breakers.trips))
    [trip] = breakers.trips
    assert (trip.service, trip.epoch, trip.rules) == ("payments", 0, BreakerRules())
    assert "100 of 100 calls failed" in trip.reason


async def test_one_bad_reporter_does_not_trip_a_fleet(engine, breakers):
    async with watching(engine, breakers):
        await tell(engine, (900, 900), *[(10, 0)] * 19)
        assert await looked(engine, breakers) == []


async def test_a_service_is_judged_by_its_own_rules(engine, breakers):
    async with watching(engine, breakers):
        await tell(engine, (2, 2))
        await tell(engine, (2, 2), service="quick")
        assert await looked(engine, breakers) == [("quick", 0)]
    [trip] = [each for each in breakers.trips if each.service == "quick"]
    assert trip.rules.minimum_calls == 2


async def test_an_edge_is_told_once(engine, breakers):
    """However much more fails before the breaker's record shows that it opened."""
    async with watching(engine, breakers):
        for _ in range(5):
            await tell(engine, (100, 100))
            await looked(engine, breakers)
        assert breakers.edges.count(("payments", 0)) == 1


async def test_a_breaker_that_takes_no_notice_is_told_again(engine, breakers):
    async with watching(engine, breakers, again=SOON):
        await tell(engine, (100, 100))
        await eventually(lambda: breakers.edges == [("payments", 0)] * 3)


async def test_only_a_closed_breaker_is_told(engine, breakers):
    """An open one knows, and one that an operator holds does as the operator says."""
    now = datetime.now(UTC)
    watched = CircuitBreaker(service="watched").set_mode(
        BreakerStatus.METRICS_ONLY, ModeHold(by="ada", reason="to see", since=now)
    )
    await record(engine, an_open_breaker())
    await record(engine, watched)
    async with watching(engine, breakers):
        await tell(engine, (100, 100), epoch=1)
        await tell(engine, (100, 100), epoch=1, service="watched")
        assert await looked(engine, breakers) == []


async def test_each_epoch_has_an_edge_of_its_own(engine, breakers):
    """And what was admitted before the breaker closed again says nothing."""
    async with watching(engine, breakers):
        await tell(engine, (100, 100))
        await eventually(lambda: breakers.edges == [("payments", 0)])
        closed = an_open_breaker().model_copy(update={"status": BreakerStatus.CLOSED, "epoch": 3})
        await record(engine, closed)
        assert await looked(engine, breakers) == [("payments", 0)]
        await tell(engine, (100, 100), epoch=3)
        assert await looked(engine, breakers) == [("payments", 0), ("payments", 3)]


async def test_a_window_that_goes_bad_by_itself_trips(engine, breakers):
    """As its good calls grow old: nobody tells of anything then."""
    async with watching(engine, breakers):
        await tell(engine, (1000, 0))
        await tell(engine, (100, 100))
        assert await looked(engine, breakers) == []
        grow_old = text("UPDATE outcomes SET calls = failures")
        async with statement(engine) as connection:
            await connection.execute(grow_old)
        await eventually(lambda: ("payments", 0) in breakers.edges)


async def test_what_was_told_before_the_start_counts(engine, breakers):
    await tell(engine, (100, 100))
    async with watching(engine, breakers):
        await eventually(lambda: breakers.edges == [("payments", 0)])


async def test_while_temporal_is_away_it_tries_again(engine, breakers):
    breakers.away = True
    async with watching(engine, breakers):
        await tell(engine, (100, 100))
        await eventually(lambda: breakers.tries == 2)
        breakers.away = False
        await eventually(lambda: breakers.edges == [("payments", 0)])


async def test_one_is_at_work_and_another_takes_over(engine, breakers):
    """When the first stops, and as well when PostgreSQL loses its connection."""
    async with AsyncExitStack() as stack:
        monitors = [a_monitor(engine, breakers) for _ in range(3)]
        for each in monitors:
            await each.start()
            stack.push_async_callback(each.stop)

        def at_work():
            return [each for each in monitors if each.is_watching]

        await eventually(lambda: len(at_work()) == 1)
        await looked(engine, breakers)
        [first] = at_work()
        await first.stop()
        await eventually(lambda: len(at_work()) == 1)
        await looked(engine, breakers)
        # One that lost its connection learns of it a moment after another has the seat.
        await hang_up(engine)
        await looked(engine, breakers)
        await eventually(lambda: len(at_work()) == 1)
        await tell(engine, (100, 100))
        await eventually(lambda: ("payments", 0) in breakers.edges)


async def test_it_goes_on_after_an_outage_of_postgresql(breakers):
    server = start_postgres()
    await migrate(server.get_uri())
    engine = create_engine(server.get_uri())
    async with watching(engine, breakers) as monitor:
        server.stop()
        await eventually(lambda: not monitor.is_watching)
        server.start()
        await eventually(lambda: monitor.is_watching)
        await tell(engine, (100, 100))
        await eventually(lambda: breakers.edges == [("payments", 0)])
    await engine.dispose()
    server.cleanup()


@pytest.fixture
async def task_queue():
    return f"test-{uuid.uuid4()}"


async def recorded(engine, service):
    breaker = await Entities(engine).breaker(service)
    return breaker and (breaker.status, breaker.epoch)


async def test_a_breaker_that_never_was_is_started_by_its_trip(engine, temporal_server, task_queue):
    """And once its record shows that it is open, nobody tells it again."""
    client, service = temporal_server.client, f"svc-{uuid.uuid4().hex[:8]}"
    told = Breakers()
    really = tripping(client, task_queue)

    async def trip(message):
        await really(message)
        await told.trip(message)

    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[CircuitBreakerWorkflow],
        activities=[RecordActivities(Records(engine)).write_record],
    )
    monitor = Monitor(engine, policy=lambda: POLICY, trip=trip, again=timedelta(0))
    async with worker:
        await monitor.start()
        await tell(engine, *[(5, 5)] * 20, service=service)

        async def is_open():
            return await recorded(engine, service) == (BreakerStatus.OPEN, 1)

        await eventually(is_open)
        repeats = len(told.trips)
        await tell(engine, *[(5, 5)] * 20, service=service)
        await eventually(lambda: bool(monitor.is_watching))
        await monitor.stop()
    assert len(told.trips) == repeats
    assert await recorded(engine, service) == (BreakerStatus.OPEN, 1)


async def test_without_temporal_a_trip_is_unavailable(task_queue):
    """The monitor tries again then."""
    async with dev_server() as server:
        client = server.client
    message = TripBreaker(service="payments", epoch=0, reason="it fails", rules=BreakerRules())
    with pytest.raises(Unavailable):
        await tripping(client, task_queue)(message)

"""CircuitBreakerWorkflow keeps a fleet's breaker: times, leases and modes, all on the record."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.strategy import Backoff
from tests.workflows.first_version import FirstCircuitBreakerWorkflow
from tests.workflows.night import settled
from tests.workflows.watched import RULES, SECOND, Watched
from tests.workflows.world import World, working

OPEN, HALF_OPEN, CLOSED = BreakerStatus.OPEN, BreakerStatus.HALF_OPEN, BreakerStatus.CLOSED


@pytest.fixture
def breaker(skipping: WorkflowEnvironment, world: World, service: str) -> Watched:
    return Watched(world, service, env=skipping)


async def half_open(breaker: Watched) -> None:
    """Epoch 2."""
    await breaker.trips()
    assert (await breaker.passes(80 * SECOND)).status is HALF_OPEN


async def test_a_trip_opens_it_for_a_while_and_then_probes_are_made(breaker: Watched):
    """Both are on the record, and neither is anybody's doing."""
    await breaker.trips()
    state = await breaker.state()
    assert (state.status, state.epoch, state.rules) == (OPEN, 1, RULES)
    assert 47 * SECOND < state.probes_at - state.since < 73 * SECOND
    state = await breaker.passes(80 * SECOND)
    assert (state.status, state.epoch) == (HALF_OPEN, 2)
    assert await breaker.recorded(2) == [
        ("holdfast", "open: it failed"),
        ("holdfast", "half_open: it is time to probe"),
    ]


async def test_a_trip_is_taken_once_and_not_for_an_epoch_that_is_over(breaker: Watched):
    """The monitor tells an edge again when it isn't sure."""
    await half_open(breaker)
    await breaker.trips()
    await breaker.trips(epoch=1)
    assert (await breaker.state()).epoch == 2


async def test_the_fleet_gets_exactly_the_leases_there_are(breaker: Watched):
    """Whoever asks, together or one by one; an epoch that is over gets none."""
    await half_open(breaker)
    assert await breaker.leases(*"abcdef", epoch=2) == [True, True] + [False] * 4
    assert await breaker.leases("g", epoch=2) == [False]
    assert await breaker.leases("a", epoch=2) == [True]
    assert await breaker.leases("a", epoch=1) == [False]


async def test_a_lease_ends_by_itself(breaker: Watched):
    """A process that died with it, or a call that hangs, does not hold the breaker."""
    await half_open(breaker)
    await breaker.leases("a", "b", epoch=2)
    assert (await breaker.passes(11 * SECOND)).leases == ()
    assert await breaker.leases("c", epoch=2) == [True]


async def test_passed_probes_close_it_and_the_ramp_is_climbed(breaker: Watched):
    """Each step is on the record: whoever calls must hear of it."""
    await half_open(breaker)
    await breaker.leases("a", "b", epoch=2)
    await breaker.probed("a", epoch=2)
    await breaker.probed("b", epoch=2)
    state, shares = await breaker.state(), []
    while state.share < 1:
        shares.append(state.share)
        state = await breaker.passes(11 * SECOND)
    assert shares == [0.05, 0.25, 0.5]
    assert (state.status, state.epoch, state.due_at) == (CLOSED, 3, None)
    assert [what for _, what in await breaker.recorded(6)][2:] == [
        "closed, 5% of calls pass: 2 probe calls passed",
        "closed, 25% of calls pass: 2 probe calls passed",
        "closed, 50% of calls pass: 2 probe calls passed",
        "closed: 2 probe calls passed",
    ]


async def test_a_failed_probe_opens_it_for_longer(breaker: Watched):
    """The other leases are over with the epoch."""
    await half_open(breaker)
    await breaker.leases("a", "b", epoch=2)
    await breaker.probed("a", epoch=2, passed=False)
    await breaker.probed("b", epoch=2)
    state = await breaker.state()
    assert (state.status, state.epoch, state.trips) == (OPEN, 3, 2)
    assert state.probes_at - state.since > 95 * SECOND


async def test_what_an_incident_holds_is_not_probed_until_its_end(breaker: Watched):
    """Its end starts the way back, by the rules that it pinned."""
    await breaker.is_held()
    assert (await breaker.passes(timedelta(days=1))).status is OPEN
    await breaker.is_released()
    state = await breaker.state()
    assert (state.status, state.epoch, state.rules) == (HALF_OPEN, 2, RULES)


async def test_a_mode_is_the_operators_until_its_time_is_over(breaker: Watched):
    """The record says who held it, and why; nothing else opens or closes it meanwhile."""
    until_then = datetime.now(UTC) + 300 * SECOND
    state = await breaker.mode(BreakerStatus.FORCED_OPEN, reason="a drill", until=until_then)
    assert (state.status, state.epoch, state.mode.by) == (BreakerStatus.FORCED_OPEN, 1, "ada")
    await breaker.trips(epoch=1)
    assert (await breaker.passes(290 * SECOND)).epoch == 1
    assert (await breaker.passes(20 * SECOND)).status is HALF_OPEN
    assert await breaker.recorded(2) == [
        ("ada", "forced_open: a drill"),
        ("holdfast", "half_open: the time that ada gave it is over"),
    ]
    (first, _) = sorted(breaker.world.entries.values(), key=lambda each: each.sequence)
    assert first.detail == {
        "status": "forced_open",
        "epoch": 1,
        "share": 1.0,
        "mode": "forced_open",
        "until": until_then.isoformat(),
        "probes_at": None,
    }


async def test_a_mode_is_taken_back(breaker: Watched):
    """Twice is as good as once, and the record has it once."""
    await breaker.mode(BreakerStatus.DISABLED)
    assert (await breaker.mode(None)).status is CLOSED
    assert (await breaker.mode(None)).epoch == 2
    assert await breaker.recorded(2) == [
        ("ada", "disabled: ada wants it so"),
        ("ada", "closed: ada gave it back to itself"),
    ]


async def test_what_is_no_mode_is_refused(breaker: Watched):
    """Nobody opens a breaker by hand without holding it; a mode lies ahead."""
    assert await breaker.refuses(OPEN) == (
        "InvalidInput: open is nothing to hold a breaker in; there are forced_open, disabled, "
        "metrics_only"
    )
    past = datetime.now(UTC) - SECOND
    told = await breaker.refuses(BreakerStatus.DISABLED, until=past)
    assert told.startswith("InvalidInput: the mode would end at ")
    assert (await breaker.state()).epoch == 0


async def test_all_of_it_goes_on_in_a_new_run(breaker: Watched):
    """A history gets long; the breaker is none the wiser."""
    await half_open(breaker)
    assert await breaker.leases("a", epoch=2) == [True]
    await breaker.probed("a", epoch=2)
    before, run = await breaker.state(), await breaker.run()
    async with asyncio.timeout(20):
        while await breaker.run() == run:
            await breaker.trips(epoch=1)
    assert await breaker.state() == before
    assert await breaker.leases("b", "c", epoch=2) == [True, False]
    await breaker.probed("b", epoch=2)
    assert (await breaker.state()).share == 0.05
    assert (await breaker.passes(11 * SECOND)).share == 0.25


async def test_it_is_read_in_the_temporal_ui(breaker: Watched):
    """Status, reason, leases, and what comes next; whether it is on the record or not."""
    await breaker.trips()
    assert "- **Why** it failed" in await breaker.details()
    assert "- **Probe calls** from " in await breaker.details()
    await breaker.passes(80 * SECOND)
    await breaker.leases("a", epoch=2)
    details = await breaker.details()
    assert details.startswith(f"### Circuit breaker of {breaker.service}: half_open")
    assert "- **Probe calls** 0 of 2 passed" in details
    assert "- leased by of-a until " in details
    await breaker.mode(BreakerStatus.METRICS_ONLY)
    assert "- **Held** by ada, until taken back" in await breaker.details()


async def test_without_a_worker_it_becomes_half_open_once_one_is_back(
    unhurried: WorkflowEnvironment, service: str
):
    """The timer is Temporal's; what came due meanwhile is done at once."""
    world = World(client=unhurried.client, task_queue=f"test-{service}")
    breaker = Watched(world, service)
    async with working(world):
        await breaker.trips(rules=RULES.model_copy(update={"open_for": Backoff(initial=SECOND)}))
        assert (await breaker.state()).status is OPEN
    async with asyncio.timeout(20):
        while not await timer_fired(breaker):
            await asyncio.sleep(0.05)
    async with working(world):
        assert (await breaker.recorded(2))[-1] == ("holdfast", "half_open: it is time to probe")


async def timer_fired(breaker: Watched) -> bool:
    events = (await breaker.handle.fetch_history()).events
    return any(each.HasField("timer_fired_event_attributes") for each in events)


@pytest.fixture
async def first_breaker(unhurried: WorkflowEnvironment, service: str):
    """One that the first version opened, closed and opened again; its worker is gone."""
    world = World(client=unhurried.client, task_queue=f"test-{service}")
    breaker = Watched(world, service)
    async with Worker(
        world.client,
        task_queue=world.task_queue,
        workflows=[FirstCircuitBreakerWorkflow],
        activities=[world.write_record],
        sticky_queue_schedule_to_start_timeout=SECOND,
    ):
        await breaker.is_held("i-1")
        await breaker.is_released("i-1")
        await breaker.recorded(2)
        await breaker.trips(epoch=2)
        await settled(breaker.handle)
        await breaker.is_held("i-2")
        await breaker.recorded(3)
    return breaker


async def test_a_run_of_the_first_version_is_taken_over_as_it_was(first_breaker: Watched):
    """It closed at its first release; what it did not understand is not made up for."""
    async with working(first_breaker.world):
        state = await first_breaker.state()
    assert (state.status, state.epoch, state.probes_at) == (OPEN, 3, None)
    assert [hold.incident_id for hold in state.holds] == ["i-2"]


async def test_the_next_message_makes_a_run_of_the_first_version_a_new_one(first_breaker: Watched):
    """It need not wait for its next run, which may be years ahead."""
    async with working(first_breaker.world):
        await first_breaker.is_released("i-2")
        assert (await first_breaker.state()).status is HALF_OPEN
        assert await first_breaker.leases("a", epoch=4) == [True]
    async with working(first_breaker.world):
        assert [each.id for each in (await first_breaker.state()).leases] == ["a"]

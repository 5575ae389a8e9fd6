"""Kill any part at any point: nothing is lost, no page is late, every level comes in its order."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from standalone.system import System
from tests.end_to_end.conftest import temporary_home
from tests.end_to_end.town import Caller, Town, calling, opened, until, write_policy

LEVELS = ["first", "second", "third"]
WAIT = timedelta(seconds=4)
# Some twenty in fact: Temporal notices after ten that a killed worker does not take up what it had.
ENDED_WITHIN = 60.0


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[Town]:
    async with opened() as town:
        yield town


@pytest.fixture(scope="module")
async def caller(town: Town) -> AsyncIterator[Caller]:
    with temporary_home() as home:
        policy = write_policy(home, town, wait=f"{WAIT.total_seconds():g}s")
        environment = {"HOLDFAST_CONFIG": str(policy)}
        async with (
            System.on_free_ports(home, environment=environment, say=print) as system,
            calling(system) as caller,
        ):
            yield caller


@pytest.fixture
def error() -> str:
    """An error type of a test's own, so that its incident is its own."""
    return f"Broken{uuid.uuid4().hex[:8]}"


async def test_an_escalation_goes_on_where_a_killed_worker_left_it(
    caller: Caller, town: Town, error: str
) -> None:
    """SIGKILL between two levels: the rest follow in order, and none comes twice."""
    incident = await caller.opened("unwatched", error)
    await _first_is_on_record(caller, incident)
    await caller.system.kill("worker")
    await caller.system.start_part("worker")
    await until(lambda: len(town.paged(incident)) == 3, within=ENDED_WITHIN)
    assert town.paged(incident) == LEVELS


async def _first_is_on_record(caller: Caller, incident: str) -> None:
    """Wait until level 1 is paged and Holdfast knows it: before, its send may be done again."""

    async def sent() -> bool:
        return "notification.sent" in await caller.events(incident)

    await until(sent)


async def test_a_worker_killed_while_it_acts_repeats_the_action_under_one_key(
    caller: Caller, town: Town, error: str
) -> None:
    """The service can tell the repeat from a new restart; the incident is resolved all the same."""
    killed = asyncio.Event()
    town.on_restart = killed.set
    incident = await caller.opened("shop", error)
    await killed.wait()
    town.on_restart = None
    await caller.system.kill("worker")
    await caller.system.start_part("worker")

    await _resolved_after_one_restart(caller, town, incident)


@pytest.mark.parametrize("moment", ["incident.opened", "recovery.finished"])
async def test_a_worker_killed_around_its_action_still_resolves(
    caller: Caller, town: Town, error: str, moment: str
) -> None:
    """Just opened, or settling: the new worker goes on, and nothing is done twice."""
    incident = await caller.opened("shop", error)

    async def came() -> bool:
        return moment in await caller.events(incident)

    await until(came)
    await caller.system.kill("worker")
    await caller.system.start_part("worker")
    await _resolved_after_one_restart(caller, town, incident)


async def _resolved_after_one_restart(caller: Caller, town: Town, incident: str) -> None:
    """The incident ends, and the service saw one restart, however often it was told."""

    async def resolved() -> bool:
        return (await caller.incident(incident))["status"] == "resolved"

    await until(resolved, within=ENDED_WITHIN)
    restarts = [
        each.key
        for each in town.arrivals
        if each.what == "/shop/restart" and each.key.startswith(incident)
    ]
    assert set(restarts) == {f"{incident}:1:1"}


async def test_a_killed_api_loses_no_report_that_it_had_taken(caller: Caller, error: str) -> None:
    """What was answered with 202 is counted, once, though the process died right after."""
    accepted = 0

    async def tell() -> None:
        nonlocal accepted
        for _ in range(20):
            try:
                await caller.report("unwatched", error)
            except (httpx.HTTPError, AssertionError):
                return
            accepted += 1

    tellers = asyncio.gather(*[tell() for _ in range(8)])
    await until(lambda: accepted >= 40)
    await caller.system.kill("api")
    await tellers
    await caller.system.start_part("api")
    incident = await caller.opened("unwatched", error)

    async def counted() -> bool:
        return (await caller.incident(incident))["report_count"] >= accepted + 1

    await until(counted)
    # A report can be taken without its answer arriving: eight were under way at the most.
    assert (await caller.incident(incident))["report_count"] <= accepted + 1 + 8


async def test_a_stopped_postgresql_delays_no_page(caller: Caller, town: Town, error: str) -> None:
    """Thirty seconds without a database: pages go out on time, and the record catches up."""
    incident = await caller.opened("unwatched", error)
    await until(lambda: town.paged(incident) == ["first"])
    await caller.system.stop_part("postgres")
    stopped = datetime.now().astimezone()
    await until(lambda: town.paged(incident) == LEVELS)
    await _acknowledged_without_postgresql(caller, incident)
    await asyncio.sleep((stopped + timedelta(seconds=30) - datetime.now().astimezone()).seconds)
    await caller.system.start_part("postgres")
    times = [page.at for page in town.pages(incident)]
    lateness = [after - before - WAIT for before, after in pairwise(times)]
    assert max(lateness) < timedelta(seconds=1.5)

    async def recorded() -> bool:
        events = await caller.events(incident)
        return events.count("escalation.level_paged") == 3 and "incident.acknowledged" in events

    await until(recorded, within=45)


async def _acknowledged_without_postgresql(caller: Caller, incident: str) -> None:
    answer = await caller.post(f"/errors/{incident}/acknowledge", {})
    assert answer.status_code == 200, answer.text


async def test_reports_are_taken_with_postgresql_down(
    caller: Caller, town: Town, error: str
) -> None:
    """Temporal alone is enough to take a report, and to page."""
    await caller.system.stop_part("postgres")
    try:
        incident = await caller.opened("unwatched", error)
        for _ in range(4):
            await caller.report("unwatched", error)
        await until(lambda: town.paged(incident)[:1] == ["first"])
        assert (await caller.incident(incident))["report_count"] == 5
    finally:
        await caller.system.start_part("postgres")
        await caller.system.wait_until_healthy()


async def test_reports_are_taken_with_temporal_down(caller: Caller, town: Town, error: str) -> None:
    """PostgreSQL alone is enough to take a report; its incident opens once Temporal is back."""
    await caller.system.stop_part("temporal")
    try:
        results = [await caller.report("unwatched", error) for _ in range(5)]
        assert {result.get("incident_id") for result in results} == {None}
    finally:
        await caller.system.start_part("temporal")
        await caller.system.wait_until_healthy()

    async def counted() -> bool:
        active = (await caller.get("/errors/active?service=unwatched&limit=500"))["items"]
        mine = [each for each in active if error in each["title"]]
        return [each["report_count"] for each in mine] == [5]

    await until(counted, within=60)


async def test_with_both_stores_down_the_reporter_keeps_its_report(
    caller: Caller, error: str
) -> None:
    """Nothing can be kept: 503, and when to come again."""
    await caller.system.stop_part("temporal")
    await caller.system.stop_part("postgres")
    try:
        report = {"service": "unwatched", "error_type": error, "message": "it broke"}
        answer = await caller.post("/errors", report)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        await caller.system.start_part("postgres")
        await caller.system.start_part("temporal")
        await caller.system.wait_until_healthy()


async def test_an_open_incident_and_its_timers_survive_a_restart_of_everything(
    town: Town, error: str
) -> None:
    """Stop the whole system in the middle of an escalation; it goes on after the next start."""
    with temporary_home() as home:
        policy = write_policy(home, town, wait="6s")
        system = System.on_free_ports(home, environment={"HOLDFAST_CONFIG": str(policy)})
        async with system, calling(system) as caller:
            incident = await caller.opened("unwatched", error)
            await _first_is_on_record(caller, incident)
        async with system:
            await until(lambda: town.paged(incident) == LEVELS)

"""Clients and a real Holdfast: guarded code while the API is away, and the way back by probes."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.client import BreakerOpen, Holdfast
from holdfast.domain.breaker import BreakerStatus
from standalone.system import System
from tests.end_to_end import depot
from tests.end_to_end.conftest import temporary_home
from tests.end_to_end.depot import Depot, Mood
from tests.end_to_end.fleet import reporter_key, sent_out
from tests.end_to_end.town import Caller, calling, until

CLIENTS, LEASES = 50, 3
MINIMUM_CALLS = 5
BEFORE, MEANWHILE = 1000, 500
MANY = 100
# The client's own, after which it decides by itself, and some seconds to notice.
AFTER_GRACE = 25.0
POLICY = f"""
services:
  depot:
    breaker:
      minimum_calls: 10
      open_for: {{initial: 3s, jitter: 0}}
      leases: {LEASES}
      lease_for: 30s
      ramp: []
  harbour:
    breaker: {{minimum_calls: {MINIMUM_CALLS}}}
  pier: &quick
    breaker:
      minimum_calls: {MINIMUM_CALLS}
      open_for: {{initial: 1s, factor: 1, jitter: 0}}
      leases: 1
      lease_for: 3s
      ramp: []
  quay: *quick
"""


class Down(Exception):
    """What is called does not work."""


@pytest.fixture(scope="module")
async def caller() -> AsyncIterator[Caller]:
    with temporary_home() as home:
        policy = home / "policy.yaml"
        policy.write_text(POLICY)
        environment = {"HOLDFAST_CONFIG": str(policy)}
        async with (
            System.on_free_ports(home, environment=environment, say=print) as system,
            calling(system) as caller,
        ):
            yield caller


@pytest.fixture(scope="module")
async def key(caller: Caller) -> str:
    return await reporter_key(caller)


@pytest.fixture
def client(caller: Caller, key: str, tmp_path: Path) -> Iterator[Holdfast]:
    with Holdfast(caller.system.api_url, key, service="shop", spill=tmp_path) as client:
        yield client


@pytest.fixture
def other(caller: Caller, key: str) -> Iterator[Holdfast]:
    with Holdfast(caller.system.api_url, key, service="stall", spill=None) as client:
        yield client


@pytest.fixture
async def store() -> AsyncIterator[Depot]:
    async with depot.opened() as store:
        yield store


async def breaker(caller: Caller, service: str) -> dict[str, Any]:
    found: dict[str, Any] = await caller.get(f"/circuit-breakers/{service}")
    return found


async def turned(caller: Caller, service: str, status: str) -> dict[str, Any]:
    """Wait until the fleet's breaker has a status; the breaker."""

    async def has_turned() -> bool:
        return (await breaker(caller, service))["status"] == status

    await until(has_turned)
    return await breaker(caller, service)


def call(client: Holdfast, service: str, *, works: bool = True) -> bool:
    """Make a guarded call; whether it was let pass."""
    try:
        with client.breaker(service) as passage:
            if not works:
                passage.fail("a test wants it")
    except BreakerOpen:
        return False
    return True


def fail(client: Holdfast, service: str, times: int) -> None:
    for _ in range(times):
        call(client, service, works=False)


async def test_with_the_api_killed_callers_go_on_and_every_report_arrives(
    caller: Caller, client: Holdfast
) -> None:
    """First by the fleet's last word, then by their own rules; the reports' count is exact."""
    error = f"Broken{uuid.uuid4().hex[:8]}"

    @client.guard("calm")
    async def works() -> str:
        return "done"

    async def meet_errors(times: int) -> None:
        for _ in range(times):
            assert await works() == "done"
            client.report("it broke", error_type=error, fingerprint=error)
            await asyncio.sleep(0.001)

    mode = {"mode": "forced_open", "reason": "the dredger is at work"}
    assert (await caller.post("/circuit-breakers/harbour/mode", mode)).is_success
    await until(lambda: not call(client, "harbour"))

    meeting = asyncio.create_task(meet_errors(BEFORE))
    await caller.found("shop", error)
    await caller.system.kill("api")
    assert not call(client, "harbour"), "the fleet's last word holds"
    await meeting
    await meet_errors(MEANWHILE)
    await until(lambda: call(client, "harbour"), within=AFTER_GRACE)
    fail(client, "harbour", MINIMUM_CALLS)
    with pytest.raises(BreakerOpen, match="in this process"), client.breaker("harbour"):
        pass

    await caller.system.start_part("api")
    await until(lambda: client.breaker("harbour").status is BreakerStatus.FORCED_OPEN)
    assert await asyncio.to_thread(client.flush, timedelta(seconds=30))
    incident = await caller.found("shop", error)

    async def counted() -> bool:
        found = await caller.incident(incident)
        return bool(found["report_count"] >= BEFORE + MEANWHILE)

    await until(counted)
    assert (await caller.incident(incident))["report_count"] == BEFORE + MEANWHILE
    assert client.dropped == 0


async def test_half_open_lets_exactly_the_leased_calls_of_a_whole_fleet_pass(
    caller: Caller, store: Depot
) -> None:
    """Fifty clients in five processes, all of them calling; with the last probe they all may."""
    store.turn(Mood.FAILS)
    async with sent_out(caller, store, "depot", clients=CLIENTS) as fleet:
        await until(lambda: fleet.rejects(1), within=60)
        store.turn(Mood.HANGS)
        store.callers.clear()
        await until(lambda: len(store.callers) == LEASES)
        fleet.rejected.clear()
        await until(lambda: fleet.rejects(5, but=store.callers))
        assert len(store.callers) == LEASES
        assert len((await breaker(caller, "depot"))["leases"]) == LEASES

        store.turn(Mood.WELL)
        await turned(caller, "depot", "closed")
        await until(lambda: set(store.callers) == set(fleet.names))


async def test_a_leaked_lease_frees_itself(caller: Caller, client: Holdfast) -> None:
    """Whoever got it is gone; when its time is over the next who asks gets it."""
    fail(client, "pier", MINIMUM_CALLS)
    epoch = (await turned(caller, "pier", "half_open"))["epoch"]
    wish = {"lease_id": uuid.uuid4().hex, "reporter": "gone", "epoch": epoch}
    answer = (await caller.post("/circuit-breakers/pier/lease", wish)).json()
    assert answer["granted"], answer
    [lease] = (await breaker(caller, "pier"))["leases"]

    await until(lambda: call(client, "pier"))
    closed = await turned(caller, "pier", "closed")
    assert datetime.fromisoformat(closed["since"]) > datetime.fromisoformat(lease["expires_at"])


async def test_a_probe_that_hangs_does_not_hold_the_breaker(
    caller: Caller, client: Holdfast, other: Holdfast
) -> None:
    """Another's probe closes it; how the one that hung ends in the end says nothing."""
    fail(client, "quay", MINIMUM_CALLS)
    await turned(caller, "quay", "half_open")
    hangs, may_end = asyncio.Event(), asyncio.Event()

    async def probe() -> None:
        while not hangs.is_set():
            with suppress(BreakerOpen):
                async with client.breaker("quay"):
                    hangs.set()
                    await may_end.wait()
                    raise Down
            await asyncio.sleep(0.05)

    probing = asyncio.create_task(probe())
    await hangs.wait()
    await until(lambda: not call(other, "quay"))
    await until(lambda: call(other, "quay"))
    epoch = (await turned(caller, "quay", "closed"))["epoch"]

    await until(lambda: call(client, "quay"))
    may_end.set()
    with pytest.raises(Down):
        await probing
    for _ in range(MANY):
        call(client, "quay")

    async def told() -> bool:
        calls = (await breaker(caller, "quay"))["calls"]
        return bool(calls and calls["calls"] >= MANY)

    # What the one that hung might have added is told by then.
    await until(told)
    after = await breaker(caller, "quay")
    assert (after["status"], after["epoch"], after["calls"]["failures"]) == ("closed", epoch, 0)

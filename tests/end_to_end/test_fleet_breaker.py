"""A fleet's breaker in the real system: opened by many, by none alone, and open on its own time."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from standalone.system import System
from tests.end_to_end.town import Caller, calling, until

REPLICAS = 20


@pytest.fixture
async def caller(system: System) -> AsyncIterator[Caller]:
    async with calling(system) as caller:
        yield caller


@pytest.fixture
def service() -> str:
    """A service of a test's own, which the policy file does not know: the built-in rules hold."""
    return f"svc-{uuid.uuid4().hex[:8]}"


async def tell(
    caller: Caller, service: str, reporter: str, *, calls: int = 5, failures: int = 0
) -> None:
    """Tell of one process's calls, as the client does."""
    outcomes = {"service": service, "epoch": 0, "calls": calls, "failures": failures}
    answer = await caller.post("/outcomes", {"reporter": reporter, "outcomes": [outcomes]})
    assert answer.status_code == 204, answer.text


async def all_fail(caller: Caller, service: str) -> None:
    """Each of many replicas has a few calls, and all of them fail."""
    await asyncio.gather(
        *(tell(caller, service, f"replica-{n}", failures=5) for n in range(REPLICAS))
    )


async def breaker_of(caller: Caller, service: str) -> dict[str, Any]:
    found: dict[str, Any] = await caller.get(f"/circuit-breakers/{service}")
    return found


async def becomes(caller: Caller, service: str, status: str) -> dict[str, Any]:
    """Wait until the breaker has a status; gives the breaker."""

    async def is_so() -> bool:
        return (await breaker_of(caller, service))["status"] == status

    await until(is_so, within=60, what=f"{service} {status}")
    return await breaker_of(caller, service)


async def test_replicas_that_fail_together_open_the_breaker(caller: Caller, service: str) -> None:
    """None of them has enough calls to say anything by itself."""
    await all_fail(caller, service)
    breaker = await becomes(caller, service, "open")
    assert breaker["epoch"] == 1
    # As soon as enough of them were heard of.
    assert "calls failed within 30 s" in breaker["reason"]


async def test_one_that_fails_alone_opens_nothing(caller: Caller, service: str) -> None:
    """However many calls it has: the other replicas' calls go well."""
    await asyncio.gather(*(tell(caller, service, f"replica-{n}") for n in range(1, REPLICAS)))
    await tell(caller, service, "replica-0", calls=1000, failures=1000)
    # What is told later is looked at no earlier.
    other = f"{service}-other"
    await all_fail(caller, other)
    await becomes(caller, other, "open")
    listed = (await caller.get("/circuit-breakers"))["items"]
    assert [each for each in listed if each["service"] == service] == []


async def test_an_open_breaker_keeps_its_time_over_a_killed_worker(
    caller: Caller, service: str
) -> None:
    """Nobody has to ask: the time to probe comes while nobody is there, and is not forgotten."""
    await all_fail(caller, service)
    opened = await becomes(caller, service, "open")
    probes_at = datetime.fromisoformat(opened["probes_at"])
    await caller.system.kill("worker")
    await until(lambda: datetime.now(UTC) > probes_at)
    await caller.system.start_part("worker")
    half_open = await becomes(caller, service, "half_open")
    assert datetime.fromisoformat(half_open["since"]) >= probes_at - timedelta(seconds=1)
    assert half_open["epoch"] == 2


async def test_probe_calls_that_go_well_close_it_step_by_step(caller: Caller, service: str) -> None:
    """As many as the rules say are given, over all who ask; their results let traffic return."""
    await all_fail(caller, service)
    half_open = await becomes(caller, service, "half_open")
    epoch = half_open["epoch"]
    wishes = [
        {"lease_id": f"lease-{n}", "reporter": f"replica-{n}", "epoch": epoch}
        for n in range(REPLICAS)
    ]
    path = f"/circuit-breakers/{service}/lease"
    answers = await asyncio.gather(*(caller.post(path, wish) for wish in wishes))
    granted = [
        wish for wish, answer in zip(wishes, answers, strict=True) if answer.json().get("granted")
    ]
    assert len(granted) == half_open["rules"]["leases"]
    for wish in granted:
        probe = {
            "service": service,
            "epoch": epoch,
            "lease_id": wish["lease_id"],
            "passed": True,
        }
        told = await caller.post("/outcomes", {"reporter": wish["reporter"], "probes": [probe]})
        assert told.status_code == 204
    closed = await becomes(caller, service, "closed")
    assert closed["epoch"] == epoch + 1
    assert closed["share"] < 1

"""What operators and clients want of breakers: modes, and leases for probe calls."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType

from activities.coordinate import CoordinateActivities, HoldBreaker, ReleaseHold
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.holds import Hold
from holdfast.domain.outcome import Outcomes
from holdfast.domain.record import Record
from holdfast.domain.role import Role
from storage.outcomes import OutcomeLedger, ToldOutcomes
from storage.records import Records
from tests.api.stage import client_of, eventually, issue
from tests.storage.samples import an_entry

FORCED = {"mode": "forced_open", "reason": "the provider is being moved"}
DONE = {"mode": None, "reason": "the move is done"}


def coordinating(services):
    return CoordinateActivities(services.client, services.settings.task_queue)


async def made_half_open(services, service):
    hold = Hold(incident_id="i1", reason="it broke", since=datetime.now(UTC))
    await coordinating(services).hold_breaker(HoldBreaker(service=service, hold=hold))
    await coordinating(services).release_breaker(ReleaseHold(service=service, incident_id="i1"))


async def recorded(services, service, status, *, epoch):
    breaker = CircuitBreaker(service=service, status=status, epoch=epoch)
    await Records(services.engine).write(Record(entries=(an_entry(),), breaker=breaker))

    async def is_known():
        return services.feed.board.breaker(service)

    await eventually(is_known)


def a_wish(epoch, lease_id=None):
    return {"lease_id": lease_id or str(uuid.uuid4()), "reporter": "a:1", "epoch": epoch}


async def asked(client, service, wish):
    answer = await client.post(f"/circuit-breakers/{service}/lease", json=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def accepted_updates(services, service):
    handle = services.client.get_workflow_handle(f"breaker:{service}")
    kind = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    return [each async for each in handle.fetch_history_events() if each.event_type == kind]


async def test_an_operator_holds_a_breaker_and_gives_it_back(stage, app, client, services, service):
    """Who, why and until when shows, in the state and in the audit log."""
    url = f"/circuit-breakers/{service}"
    async with client_of(app, await issue(services, Role.OPERATOR, "ada")) as ada:
        held = (await ada.post(f"{url}/mode", json=FORCED | {"for": "30m"})).json()
        assert (held["status"], held["source"]) == ("forced_open", "workflow")
        assert (held["mode"]["by"], held["mode"]["reason"]) == ("ada", FORCED["reason"])
        left = datetime.fromisoformat(held["mode"]["until"]) - datetime.now(UTC)
        assert timedelta(minutes=29) < left <= timedelta(minutes=30)
        assert (await client.get(url)).json()["mode"] == held["mode"]
        back = (await ada.post(f"{url}/mode", json=DONE)).json()
        assert (back["status"], back["mode"]) == ("half_open", None)

    async def audited():
        query = {"service": service, "event": "breaker.changed", "order": "oldest"}
        found = (await client.get("/audit", params=query)).json()["items"]
        return [(each["actor"], each["detail"]["status"]) for each in found][:2]

    expected = [("ada", "forced_open"), ("ada", "half_open")]
    await eventually(lambda: equals(audited, expected))


async def equals(ask, expected):
    return await ask() == expected


async def test_a_mode_ends_by_itself(stage, client, service):
    url = f"/circuit-breakers/{service}"
    await client.post(f"{url}/mode", json=FORCED | {"for": "1s"})

    async def has_ended():
        return (await client.get(url)).json()["mode"] is None

    await eventually(has_ended)


async def test_every_client_hears_of_a_mode_and_the_status_counts_it_as_open(
    stage, app, client, services, service
):
    async with client_of(app, await issue(services, Role.REPORTER)) as reporter:
        await client.post(f"/circuit-breakers/{service}/mode", json=FORCED)

        async def told():
            answer = await reporter.get("/features", params={"service": service})
            return answer.status_code == 200 and answer.json()["services"][0]["breaker"]["reason"]

        assert await eventually(told) == FORCED["reason"]
    assert (await client.get("/status")).json()["record"]["breakers_open"] == [service]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mode": "open", "reason": "so"}, "mode"),
        ({"reason": "so"}, "mode"),
        ({"mode": "disabled"}, "reason"),
        ({"mode": "disabled", "reason": "so", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"mode": "disabled", "reason": "so", "for": "0s"}, "for"),
        ({"mode": "disabled", "reason": "so", "for": "400d"}, "for"),
        ({"mode": "disabled", "reason": "so", "for": "1h", "until": "2099-01-01T00:00:00Z"}, ""),
        ({"mode": None, "reason": "so", "for": "1h"}, ""),
        ({"mode": None, "reason": "so", "by": "ada"}, "by"),
    ],
)
async def test_a_mode_that_cannot_be_says_why(client, service, body, field):
    answer = await client.post(f"/circuit-breakers/{service}/mode", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_a_service_that_nobody_knows_is_not_held(client, service):
    """A slip of the pen must not look like a breaker that is open now."""
    answer = await client.post(f"/circuit-breakers/{service}x/mode", json=FORCED)
    assert answer.status_code == 404
    assert f"did you mean '{service}'?" in answer.json()["detail"]


async def test_a_recorded_service_can_be_held_without_being_in_the_policy(stage, client, services):
    other = f"other-{uuid.uuid4().hex[:8]}"
    await recorded(services, other, BreakerStatus.CLOSED, epoch=2)
    answer = await client.post(f"/circuit-breakers/{other}/mode", json=FORCED)
    assert answer.json()["status"] == "forced_open"


async def test_without_a_worker_a_mode_is_not_available(client, service):
    answer = await client.post(f"/circuit-breakers/{service}/mode", json=FORCED)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


async def test_of_many_that_ask_at_once_exactly_the_leased_number_may(
    stage, client, services, service
):
    """In few messages: they wait for one another instead of asking one by one."""
    await made_half_open(services, service)
    answers = await asyncio.gather(*(asked(client, service, a_wish(2)) for _ in range(50)))
    granted = [each for each in answers if each["granted"]]
    assert len(granted) == 3
    assert {each["reason"] for each in granted} == {"one probe call"}
    assert all(each["expires_in"].startswith("PT") for each in granted)
    refused = [each for each in answers if not each["granted"]]
    assert {each["expires_in"] for each in refused} == {None}
    assert "given out" in refused[0]["reason"]
    assert len(await accepted_updates(services, service)) < 10


async def test_asking_again_gives_the_same_lease(stage, client, services, service):
    """The answer may have been lost."""
    await made_half_open(services, service)
    wish = a_wish(2)
    for _ in range(4):
        assert (await asked(client, service, wish))["granted"]
    breaker = (await client.get(f"/circuit-breakers/{service}")).json()
    assert [each["reporter"] for each in breaker["leases"]] == ["a:1"]


async def test_what_is_known_to_be_over_is_refused_without_asking(client, services, service):
    """No worker is there to be asked."""
    await recorded(services, service, BreakerStatus.OPEN, epoch=4)
    answer = await asked(client, service, a_wish(4))
    assert (answer["granted"], answer["expires_in"]) == (False, None)
    assert "lets no probe calls through" in answer["reason"]
    late = await asked(client, service, a_wish(3))
    assert "in epoch 4, not in epoch 3" in late["reason"]


async def test_who_knows_of_a_later_epoch_is_passed_on(stage, client, services, service):
    """The record may be behind, here by all that happened since."""
    await recorded(services, service, BreakerStatus.OPEN, epoch=1)
    await made_half_open(services, service)
    assert (await asked(client, service, a_wish(2)))["granted"]


async def test_where_no_breaker_ever_opened_there_are_no_probe_calls(client, service):
    answer = await asked(client, service, a_wish(7))
    assert not answer["granted"]


async def test_a_lease_request_that_cannot_be_says_why(client, service):
    url = f"/circuit-breakers/{service}/lease"
    for field, value in (("epoch", -1), ("lease_id", ""), ("reporter", "two words"), ("x", 1)):
        answer = await client.post(url, json=a_wish(2) | {field: value})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_breaker_shows_its_rules_and_how_calls_go(client, services, service):
    told = [
        ToldOutcomes(service, f"r{number}", 0, Outcomes(calls=10, failures=number))
        for number in range(1, 4)
    ]
    await OutcomeLedger(services.engine).add(told)
    shown = (await client.get(f"/circuit-breakers/{service}")).json()
    assert shown["rules"]["minimum_calls"] == 20
    assert shown["share"] == 1.0
    calls = shown["calls"]
    assert (calls["reporters"], calls["calls"], calls["failures"]) == (3, 30, 6)
    assert (calls["failure_rate"], calls["window"]) == (0.2, "30s")
    listed = (await client.get("/circuit-breakers")).json()["items"]
    assert {each["service"]: each["calls"] for each in listed} == {"plain": None, service: calls}

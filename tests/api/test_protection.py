"""Circuit breakers, and services that serve less."""

from datetime import UTC, datetime

from activities.coordinate import CoordinateActivities, HoldBreaker, HoldDegradation, ReleaseHold
from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.holds import Hold
from holdfast.domain.record import Record
from storage.records import Records
from tests.api.stage import eventually
from tests.storage.samples import an_entry


def a_hold(level=1):
    return Hold(incident_id="i1", reason="it broke", since=datetime.now(UTC), level=level)


def coordinating(services):
    return CoordinateActivities(services.client, services.settings.task_queue)


async def test_an_open_breaker_is_told_by_its_workflow(stage, client, services, service):
    await coordinating(services).hold_breaker(HoldBreaker(service=service, hold=a_hold()))
    answer = await client.get(f"/circuit-breakers/{service}")
    breaker = answer.json()
    assert (breaker["status"], breaker["source"]) == ("open", "workflow")
    assert breaker["holds"][0]["reason"] == "it broke"


async def test_a_breaker_that_nothing_ever_held_is_closed(client, service):
    breaker = (await client.get(f"/circuit-breakers/{service}")).json()
    assert (breaker["status"], breaker["epoch"], breaker["source"]) == ("closed", 0, "record")


async def test_an_unknown_services_breaker_is_not_found(client):
    assert (await client.get("/circuit-breakers/nobody")).status_code == 404


async def test_without_a_worker_the_record_tells_of_a_breaker(client, services, service):
    """As of a workflow that nobody carries out now."""
    await coordinating(services).hold_breaker(HoldBreaker(service=service, hold=a_hold()))
    breaker = CircuitBreaker(service=service).held(a_hold(), at=datetime.now(UTC))
    await Records(services.engine).write(Record(entries=(an_entry(),), breaker=breaker))
    told = (await client.get(f"/circuit-breakers/{service}")).json()
    assert (told["status"], told["source"]) == ("open", "record")


async def test_the_list_has_every_service(stage, client, services, service):
    """Also those of the policy file whose breaker never did anything."""
    await coordinating(services).hold_breaker(HoldBreaker(service=service, hold=a_hold()))

    async def told():
        items = (await client.get("/circuit-breakers")).json()["items"]
        states = {each["service"]: each["status"] for each in items}
        return states == {"plain": "closed", service: "open"}

    await eventually(told)


async def test_a_degraded_service_tells_why_and_what_is_off(stage, client, services, service):
    levels = services.holder.policy.services[service].degradation
    message = HoldDegradation(service=service, hold=a_hold(), levels=levels)
    await coordinating(services).hold_degradation(message)

    async def listed():
        return (await client.get("/degraded-services")).json()["items"]

    [told] = await eventually(listed)
    assert (told["service"], told["level"], told["name"]) == (service, 1, "lean")
    assert told["features_off"] == ["thumbnails"]
    assert told["holds"][0]["reason"] == "it broke"
    release = ReleaseHold(service=service, incident_id="i1")
    await coordinating(services).release_degradation(release)

    async def gone():
        return not await listed()

    await eventually(gone)

"""IncidentWorkflow in a storm: pages wait, are told by others, and speak for others."""

from datetime import timedelta

from holdfast.domain.page import AdmissionRequest
from holdfast.domain.throttle import Admission, AdmissionKind, BundledIncident
from tests.workflows.night import Night, Nights
from tests.workflows.policies import ESCALATE, paging, policy_for
from tests.workflows.world import bundled_in

MINUTE = timedelta(minutes=1)
OTHER = BundledIncident(incident_id="other", service="shop", severity="low", title="Oops")


async def begins(nights: Nights, service: str, **fields) -> Night:
    given = policy_for(
        service, ESCALATE, escalation=paging(**fields), health=False, quiet=timedelta(days=30)
    )
    return await nights.begins(given, service)


def first_waits(nights: Nights, then: Admission) -> list[AdmissionRequest]:
    """Have the first page wait for two minutes, and get this answer then."""
    asked: list[AdmissionRequest] = []

    def admit(request: AdmissionRequest) -> Admission:
        asked.append(request)
        if len(asked) > 1:
            return then
        until = request.at + 2 * MINUTE
        return Admission(kind=AdmissionKind.WAIT, until=until, reason="bundled with others")

    nights.world.admit = admit
    return asked


async def test_a_page_that_waits_says_why_and_until_when(nights: Nights, service: str):
    """On the incident and on the record; then it goes."""
    asked = first_waits(nights, Admission())
    night = await begins(nights, service)
    held = (await night.incident()).deliveries[0]
    assert (held.status, held.reason) == ("held", "bundled with others")
    assert held.held_until == asked[0].at + 2 * MINUTE
    assert "the page to ada, direct (ada) waits: bundled with others" in night.facts
    await night.passes(3 * MINUTE)
    assert night.arrived == ["page to ada"]
    sent = (await night.incident()).deliveries[0]
    assert (sent.status, sent.held_until, sent.reason) == ("sent", None, None)
    assert {each.notification_id for each in asked} == {sent.notification_id}


async def test_a_page_that_another_message_told_is_not_sent(nights: Nights, service: str):
    """Whoever got that message knows, and is told of the end."""
    first_waits(nights, Admission(kind=AdmissionKind.COVERED, covered_by="n7"))
    night = await begins(nights, service)
    await night.passes(3 * MINUTE)
    assert night.arrived == []
    told = (await night.incident()).deliveries[0]
    assert (told.status, told.reason) == ("bundled", "told together with others, by the message n7")
    await night.ends()
    assert night.arrived == ["resolved to ada"]


async def test_a_page_speaks_for_the_incidents_that_waited_with_it(nights: Nights, service: str):
    """It says which; the incident keeps that."""
    first_waits(nights, Admission(bundled=(OTHER,)))
    night = await begins(nights, service)
    await night.passes(3 * MINUTE)
    assert night.notifications[0].bundled == (OTHER,)
    assert (await night.incident()).deliveries[0].bundled == (OTHER,)


async def test_a_page_that_waits_does_not_hold_up_the_next_level(nights: Nights, service: str):
    """The level's time runs: whoever is not told in it is not waited for."""
    nights.world.admit = lambda request: (
        bundled_in(20 * MINUTE)(request) if request.contact.to == "ada" else Admission()
    )
    night = await begins(nights, service)
    await night.passes(11 * MINUTE)
    assert night.arrived == ["page to bob"]


async def test_what_waits_when_it_is_over_is_withdrawn(nights: Nights, service: str):
    """No bundle tells of an incident that is over, and nobody who was not paged of its end."""
    nights.world.admit = bundled_in(20 * MINUTE)
    night = await begins(nights, service)
    incident = await night.ends()
    assert [each.status for each in incident.deliveries] == ["cancelled"]
    assert nights.world.withdrawn == [night.id]
    assert night.arrived == []


async def test_only_the_contact_that_it_goes_to_is_asked_about(nights: Nights, service: str):
    """A page to three people is three pages, each with its own limits."""
    asked = first_waits(nights, Admission())
    night = await begins(nights, service)
    await night.passes(11 * MINUTE)
    assert [str(each.contact) for each in asked] == ["direct (ada)", "direct (ada)", "direct (bob)"]
    assert {each.policy for each in asked} == {"default"}

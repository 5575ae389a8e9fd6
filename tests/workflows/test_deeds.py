"""IncidentWorkflow does what people want of it, or says why not."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from holdfast.domain.notification import Notification
from tests.workflows.first_version import FirstIncidentWorkflow
from tests.workflows.night import Night, Nights
from tests.workflows.policies import ESCALATE, ladder, paging, policy_for
from tests.workflows.world import World, bundled_in, until, working

MONTH = timedelta(days=30)
CAROLS = {"to": {"person": "carol"}}


async def begins(nights: Nights, service: str, **fields) -> Night:
    """An incident that pages Ada, and ten minutes later Bob."""
    escalation = paging(**fields)
    given = policy_for(service, ESCALATE, escalation=escalation, health=False, quiet=MONTH)
    return await nights.begins(given, service)


async def test_whom_it_is_handed_to_is_paged_at_once(nights: Nights, service: str):
    """Unanswered, the ladder goes on with the level whose turn it is."""
    night = await begins(nights, service)
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    incident = await night.does("reassign", person="ada", **CAROLS)
    assert (incident.acknowledged_by, incident.custody.assigned_to) == (None, "carol")
    await night.passes(seconds=1)
    assert arrived() == ["page to carol"]
    await night.passes(minutes=10)
    assert arrived() == ["page to bob"]
    assert night.pages == ["level 1, round 1", "level 1, round 1: reassigned", "level 2, round 1"]


async def test_whom_it_was_handed_to_is_paged_again_when_they_let_it_lie(
    nights: Nights, service: str
):
    """They took it and nothing came of it: it is theirs before it is the next level's."""
    night = await begins(nights, service)
    await night.does("reassign", **CAROLS)
    await night.does("acknowledge", by="Carol", person="carol")
    arrived = night.arrives()
    await night.passes(minutes=61)
    assert [each for each in arrived() if each.startswith("page")] == ["page to carol"]


async def test_what_no_policy_fits_can_be_handed_over(nights: Nights, service: str):
    """Nobody is paged for it by itself; a person may still be."""
    given = policy_for(service, ESCALATE, health=False, quiet=MONTH)
    night = await nights.begins(given, service)
    await night.does("reassign", **CAROLS)
    await night.passes(seconds=1)
    assert night.arrived == ["page to carol"]
    assert (await night.incident()).escalation.policy == "by hand"


async def test_the_next_level_is_paged_now_whoever_has_it(nights: Nights, service: str):
    """Whoever has it has it no more; after that the ladder keeps its times."""
    night = await begins(nights, service, repeat=1)
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    incident = await night.does("escalate", by="Bob")
    assert incident.acknowledged_by is None
    await night.passes(minutes=9)
    assert arrived() == ["page to bob"]
    await night.passes(minutes=2)
    assert arrived() == ["page to ada"]


async def test_given_back_the_last_level_is_paged_again(nights: Nights, service: str):
    """At once; whoever was paged hears of it but whoever did it."""
    night = await begins(nights, service)
    await night.passes(minutes=11)
    await night.does("acknowledge", by="Bob", person="bob")
    arrived = night.arrives()
    await night.does("unacknowledge", by="Bob", person="bob")
    await night.passes(seconds=1)
    assert sorted(arrived()) == ["page to bob", "unacknowledged to ada"]
    assert "Bob gave it back: escalation goes on" in night.facts


async def test_whoever_was_paged_hears_who_has_it_but_not_of_their_own_deed(
    nights: Nights, service: str
):
    """Bob took it: Ada may sleep on."""
    night = await begins(nights, service)
    await night.passes(minutes=11)
    arrived = night.arrives()
    await night.does("acknowledge", by="Bob", person="bob", via="slack")
    assert arrived() == ["acknowledged to ada"]
    assert night.notifications[-1].headline.outlook == "Bob has it."
    assert "Bob (over slack) has it" in night.facts


async def test_a_note_is_kept_with_who_wrote_it(nights: Nights, service: str):
    """On the incident, and on the record."""
    night = await begins(nights, service)
    incident = await night.does("note", by="Bob", text="it is the cable")
    assert [(each.by, each.text) for each in incident.remarks] == [("Bob", "it is the cable")]
    assert "Bob: it is the cable" in night.facts


EVERY_DEED = {
    "acknowledge": {},
    "unacknowledge": {},
    "resolve": {},
    "snooze": {"until": "2999-01-01T00:00:00Z"},
    "reassign": CAROLS,
    "escalate": {},
}


async def test_to_what_is_over_nothing_is_done(nights: Nights, service: str):
    """Each answer says so, also while its end is still being told and written."""
    night = await begins(nights, service)
    nights.world.database_away = True
    await night.does("resolve")
    for deed, fields in EVERY_DEED.items():
        assert (await night.refuses(deed, **fields)).startswith("IncidentAlreadyResolved: ")
    nights.world.database_away = False
    await night.ends()


async def test_what_is_meant_for_another_incident_is_refused(nights: Nights, service: str):
    """The workflow may have gone on to the next incident of the same error."""
    night = await begins(nights, service)
    for deed, fields in (EVERY_DEED | {"note": {"text": "so"}}).items():
        refusal = await night.refuses(deed, **fields, incident_id="another")
        assert refusal == "IncidentAlreadyResolved: incident another is over"
    assert (await night.incident()).status == "escalated"


async def test_refusals_say_why(nights: Nights, service: str):
    """Nothing is changed by what is refused."""
    night = await begins(nights, service)
    assert await night.refuses("unacknowledge") == "Conflict: nobody has acknowledged it"
    past = await night.refuses("snooze", until="2026-01-01T00:00:00Z")
    assert past == "Conflict: 2026-01-01T00:00:00+00:00 has passed already"
    await night.does("acknowledge", by="Ada")
    assert "Conflict: Ada has had it since" in await night.refuses("acknowledge", by="Bob")
    await night.does("escalate")
    await night.passes(seconds=1)
    nobody_left = "Conflict: the last level of 'default' was paged already"
    before = await night.incident()
    assert await night.refuses("escalate") == nobody_left
    assert await night.incident() == before


async def test_without_a_policy_there_is_no_next_level(nights: Nights, service: str):
    """The answer says that nobody could be paged."""
    given = policy_for(service, ESCALATE, health=False, quiet=MONTH)
    night = await nights.begins(given, service)
    assert "no escalation policy fits this incident" in await night.refuses("escalate")


async def test_a_link_works_once(nights: Nights, service: str):
    """Whatever it was used for; a refused deed does not use it up."""
    night = await begins(nights, service)
    await night.refuses("unacknowledge", link="a")
    await night.does("acknowledge", link="a")
    await night.does("unacknowledge", link="b")
    for deed, fields in EVERY_DEED.items():
        assert "this link was used already" in await night.refuses(deed, **fields, link="a")


async def test_between_two_tries_an_acknowledgement_ends_a_page(nights: Nights, service: str):
    """The channel is down; when it is back nobody is woken."""

    async def down(_notification: Notification) -> None:
        raise ApplicationError("503", type="deferred", next_retry_delay=timedelta(minutes=2))

    nights.world.deliver = down
    night = await begins(nights, service, acknowledgement_timeout=timedelta(0))
    incident = await night.does("acknowledge")
    assert [each.status for each in incident.deliveries] == ["cancelled"]
    nights.world.deliver = None
    await night.passes(hours=2)
    assert night.arrived == []


async def test_an_acknowledgement_waits_for_the_page_that_is_just_going_out(
    nights: Nights, service: str
):
    """Once it has returned nothing is sent: what is in the channel's hands is awaited."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_notification: Notification) -> None:
        asked.set()
        await answer.wait()

    nights.world.deliver = slow
    given = policy_for(service, ESCALATE, escalation=paging(), health=False, quiet=MONTH)
    night = await nights.begins(given, service, settled=False)
    await asked.wait()
    acknowledging = asyncio.create_task(night.does("acknowledge", person="ada"))
    await until(lambda: "incident.acknowledged" in nights.world.events)
    assert not acknowledging.done()
    answer.set()
    incident = await acknowledging
    assert [each.status for each in incident.deliveries] == ["sent"]
    assert night.arrived == ["page to ada"]


async def test_a_page_that_waits_is_withdrawn_by_an_acknowledgement(nights: Nights, service: str):
    """No bundle of another incident tells of it either."""
    nights.world.admit = bundled_in(timedelta(minutes=2))
    night = await begins(nights, service, acknowledgement_timeout=timedelta(0))
    held = (await night.incident()).deliveries[0]
    assert (held.status, held.reason) == ("held", "bundled with others")
    incident = await night.does("acknowledge")
    assert [each.status for each in incident.deliveries] == ["cancelled"]
    assert nights.world.withdrawn == [night.id]
    await night.passes(hours=1)
    assert night.arrived == []


@pytest.fixture
async def first_night(skipping: WorkflowEnvironment, service: str) -> AsyncIterator[Night]:
    """An incident that began with the first version, and goes on with the present one."""
    world = World(client=skipping.client, task_queue=f"test-{uuid.uuid4()}")
    escalation = ladder(hold=timedelta(0))
    given = policy_for(service, ESCALATE, escalation=escalation, health=False, quiet=MONTH)
    async with working(world, incidents=FirstIncidentWorkflow):
        night = await Nights(skipping, world).begins(given, service)
    async with working(world):
        yield night


async def test_an_incident_of_the_first_version_is_paged_and_acknowledged_as_it_began(
    first_night: Night,
):
    """An upgrade in the middle of the night changes nothing about it."""
    night = first_night
    await night.passes(minutes=11)
    assert night.arrived == ["page to first", "page to second"]
    await night.does("acknowledge", by="Ada")
    await night.passes(hours=5)
    told = ["acknowledged to first", "acknowledged to second"]
    assert sorted(night.arrived[2:]) == told
    assert (await night.ends()).resolved_by == "Ada"


@pytest.mark.parametrize("deed", ["unacknowledge", "snooze", "reassign", "escalate"])
async def test_what_the_first_version_did_not_know_is_refused(first_night: Night, deed: str):
    """The answer says what can be done instead."""
    refusal = await first_night.refuses(deed, **EVERY_DEED[deed])
    assert "began before Holdfast was upgraded: acknowledge or resolve it" in refusal


async def test_in_its_next_run_an_incident_of_the_first_version_can_do_all(first_night: Night):
    """Once its history is long it goes on as one of the present, on the level where it stood."""
    night = first_night
    await night.passes(minutes=11)
    await night.next_run()
    await night.does("acknowledge")
    await night.does("unacknowledge")
    await night.passes(seconds=1)
    assert night.pages[-1] == "level 2, round 1: resumed"
    await night.passes(minutes=10)
    assert night.arrived[-1] == "page to third"

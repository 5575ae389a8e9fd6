"""IncidentWorkflow through a night: who acknowledges or snoozes, and what happens if no more."""

from datetime import timedelta

from tests.workflows.night import Nights
from tests.workflows.policies import ESCALATE, RESTART, paging, policy_for
from tests.workflows.world import only_health_helps

HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


def policy(service: str, **fields):
    """Ada, ten minutes later Bob; and no incident ends by itself."""
    return policy_for(
        service, ESCALATE, escalation=paging(**fields), health=False, quiet=timedelta(days=30)
    )


async def test_an_acknowledgement_that_leads_nowhere_is_taken_back(nights: Nights, service: str):
    """Reminded ten minutes before; then everybody hears of it, and the last level is paged again.

    From there the ladder goes on: each level with its time.
    """
    night = await nights.begins(policy(service), service)
    arrived = night.arrives()
    await night.passes(minutes=5)
    await night.does("acknowledge", by="Ada", person="ada")
    assert arrived() == []
    await night.passes(minutes=49)
    assert arrived() == []
    await night.passes(minutes=2)
    assert arrived() == ["reminder to ada"]
    await night.passes(minutes=10)
    assert sorted(arrived()) == ["page to ada", "unacknowledged to ada"]
    incident = await night.incident()
    assert (incident.status, incident.acknowledged_by) == ("escalated", None)
    await night.passes(minutes=10)
    assert arrived() == ["page to bob"]
    assert "Ada had it for too long: escalation goes on" in night.facts


async def test_whoever_had_it_is_told_also_if_they_were_never_paged(nights: Nights, service: str):
    """Carol took it over the API: she is reminded, and she hears that she has it no more."""
    night = await nights.begins(policy(service), service)
    await night.does("acknowledge", by="Carol", person="carol")
    arrived = night.arrives()
    await night.passes(minutes=61)
    told = ["page to ada", "reminder to carol", "unacknowledged to ada", "unacknowledged to carol"]
    assert sorted(arrived()) == told


async def test_whom_the_policy_file_does_not_know_is_reminded_over_the_page(
    nights: Nights, service: str
):
    """Somebody in the Temporal UI, say: whoever was paged will know them."""
    night = await nights.begins(policy(service), service)
    await night.does("acknowledge", by="a passer-by")
    arrived = night.arrives()
    await night.passes(minutes=51)
    assert arrived() == ["reminder to ada"]
    assert night.notifications[-1].headline.holder == "a passer-by"


async def test_who_wants_no_reminder_gets_none(nights: Nights, service: str):
    """The acknowledgement is taken back all the same."""
    night = await nights.begins(policy(service, remind_before=timedelta(0)), service)
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    await night.passes(minutes=61)
    assert sorted(arrived()) == ["page to ada", "unacknowledged to ada"]


async def test_without_a_timeout_an_acknowledgement_is_for_good(nights: Nights, service: str):
    """Whoever has it has it until they are done."""
    forever = {"acknowledgement_timeout": timedelta(0)}
    night = await nights.begins(policy(service, **forever), service)
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    await night.passes(WEEK)
    assert arrived() == []
    assert (await night.incident()).acknowledged_by == "Ada"


async def test_a_reminder_that_is_given_up_in_time_keeps_paging_away(nights: Nights, service: str):
    """Whoever is done before the end hears nothing more but the end itself."""
    night = await nights.begins(policy(service), service)
    await night.does("acknowledge", person="ada")
    await night.passes(minutes=51)
    arrived = night.arrives()
    await night.ends()
    assert arrived() == ["resolved to ada"]


async def test_a_snooze_lasts_until_the_morning(nights: Nights, service: str):
    """Nobody is paged all night; then the last level is, and the ladder goes on from there."""
    night = await nights.begins(policy(service), service)
    arrived = night.arrives()
    morning = await night.now() + 8 * HOUR
    incident = await night.does("snooze", person="ada", until=morning.isoformat())
    assert incident.custody.snoozed_until == morning
    await night.passes(8 * HOUR - timedelta(minutes=1))
    assert arrived() == []
    await night.passes(minutes=2)
    assert sorted(arrived()) == ["page to ada", "unacknowledged to ada"]
    await night.passes(minutes=10)
    assert arrived() == ["page to bob"]


async def test_a_snooze_before_the_first_page_holds_it(nights: Nights, service: str):
    """Recovery gives up in the middle of the night; the first level is paged in the morning."""
    nights.world.carry_out = only_health_helps
    escalation = paging(hold_page_for=timedelta(minutes=30))
    slow = RESTART.model_copy(update={"settle": timedelta(minutes=20)})
    given = policy_for(service, slow, escalation=escalation, quiet=timedelta(days=30))
    night = await nights.begins(given, service)
    morning = await night.now() + 8 * HOUR
    await night.does("snooze", until=morning.isoformat())
    await night.passes(7 * HOUR)
    assert night.arrived == []
    await night.passes(HOUR + timedelta(minutes=1))
    assert night.arrived == ["page to ada"]


async def test_an_acknowledged_incident_that_is_snoozed_is_nobodys_after(
    nights: Nights, service: str
):
    """Neither a reminder nor the timeout comes before the snooze is over."""
    night = await nights.begins(policy(service), service)
    await night.does("acknowledge", person="ada")
    later = await night.now() + 3 * HOUR
    await night.does("snooze", person="ada", until=later.isoformat())
    arrived = night.arrives()
    await night.passes(2 * HOUR)
    assert arrived() == []
    assert (await night.incident()).acknowledged_by == "Ada"
    await night.passes(minutes=61)
    assert sorted(arrived()) == ["page to ada", "unacknowledged to ada"]


async def test_snoozes_neither_add_nor_take_a_round(nights: Nights, service: str):
    """Two rounds are promised: two are paged, beside the pages that the snoozes bring again."""
    night = await nights.begins(policy(service, repeat=1), service)
    for _ in range(3):
        await night.passes(minutes=1)
        until = await night.now() + HOUR
        await night.does("snooze", until=until.isoformat())
        await night.passes(minutes=61)
    await night.passes(6 * HOUR)
    assert night.pages == [
        "level 1, round 1",
        "level 1, round 1: resumed",
        "level 1, round 1: resumed",
        "level 1, round 1: resumed",
        "level 2, round 1",
        "level 1, round 2",
        "level 2, round 2",
    ]

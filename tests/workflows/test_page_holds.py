"""IncidentWorkflow holds a page, and lets it go: silences, hours, dependencies, shifts."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from holdfast.domain.page import HoldKind, PageHold, PageRequest, Recipient
from holdfast.domain.person import Contact
from holdfast.domain.target import Target
from tests.workflows.night import Night, Nights
from tests.workflows.policies import BOB, ESCALATE, ON_CALL, paging, policy_for
from tests.workflows.world import Reached, World, reached, until

MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)
SIGNALED = "workflow_execution_signaled_event_attributes"


def held_for(
    world: World, kind: HoldKind, span: timedelta, *, by: str | None = None
) -> Callable[[], None]:
    """Have pages held from the first that is due on, as the world's rules would.

    Returns:
        Ends it before its time.
    """
    until: list[datetime] = []

    def hold(request: PageRequest) -> PageHold | None:
        until.append(request.at + span) if not until else None
        if request.at >= until[0] or request.page.cause.asked_for or by in request.not_behind:
            return None
        return PageHold(kind=kind, until=until[0], reason=f"by a {kind}", by=by)

    world.hold = hold
    return lambda: setattr(world, "hold", None)


async def begins(nights: Nights, service: str, *levels: tuple[Target, ...]) -> Night:
    given = policy_for(service, ESCALATE, escalation=paging(*levels), health=False, quiet=MONTH)
    return await nights.begins(given, service)


@pytest.mark.parametrize("kind", [HoldKind.SILENCE, HoldKind.HOURS])
async def test_a_held_page_goes_out_when_its_hold_ends(
    nights: Nights, service: str, kind: HoldKind
):
    """A silence ends, a policy's hours begin: what is still open pages, with full times."""
    held_for(nights.world, kind, 2 * HOUR)
    night = await begins(nights, service)
    incident = await night.incident()
    assert (incident.escalation.hold.kind, incident.status) == (kind, "triggered")
    assert f"the page is held: by a {kind}" in night.facts
    await night.passes(minutes=119)
    assert night.arrived == []
    await night.passes(minutes=10)
    assert night.arrived == ["page to ada"]
    assert (await night.incident()).escalation.hold is None
    await night.passes(minutes=2)
    assert night.arrived == ["page to ada", "page to bob"]


async def test_a_hold_is_on_the_record_once(nights: Nights, service: str):
    """Looked at again every quarter of an hour, it is the same hold."""
    nights.world.hold = lambda request: PageHold(
        kind=HoldKind.SILENCE, until=request.at + HOUR / 4, reason="planned"
    )
    night = await begins(nights, service)
    await night.passes(minutes=50)
    assert len(nights.world.looked_up) == 4
    assert night.facts.count("the page is held: planned") == 1


async def test_a_silence_that_is_ended_by_hand_pages_at_once(nights: Nights, service: str):
    """Whoever ends it tells the incidents to look again."""
    end = held_for(nights.world, HoldKind.SILENCE, 8 * HOUR)
    night = await begins(nights, service)
    await night.passes(HOUR)
    end()
    await night.hears("recheck")
    assert night.arrived == ["page to ada"]


async def test_looked_at_again_a_page_may_still_be_held(nights: Nights, service: str):
    """Another silence covers it as well."""
    held_for(nights.world, HoldKind.SILENCE, 8 * HOUR)
    night = await begins(nights, service)
    await night.hears("recheck")
    assert night.arrived == []
    await night.passes(8 * HOUR + timedelta(minutes=1))
    assert night.arrived == ["page to ada"]


async def test_what_a_person_asks_for_goes_through_a_silence(nights: Nights, service: str):
    """They know what they want; the level after that is held again."""
    held_for(nights.world, HoldKind.SILENCE, 8 * HOUR)
    night = await begins(nights, service)
    await night.does("reassign", to={"person": "carol"})
    await night.passes(seconds=1)
    assert night.arrived == ["page to carol"]
    await night.does("escalate")
    await night.passes(HOUR)
    assert night.arrived == ["page to carol", "page to ada"]


async def test_an_acknowledgement_that_leads_nowhere_meets_the_silence(
    nights: Nights, service: str
):
    """It is taken back in its time; the page that follows waits for the silence's end."""
    night = await begins(nights, service)
    await night.does("acknowledge", person="ada")
    held_for(nights.world, HoldKind.SILENCE, 2 * HOUR)
    arrived = night.arrives()
    await night.passes(2 * HOUR)
    assert arrived() == ["reminder to ada", "unacknowledged to ada"]
    await night.passes(HOUR + timedelta(minutes=5))
    assert arrived() == ["page to ada"]


async def test_pages_wait_behind_what_the_service_depends_on(nights: Nights, service: str):
    """Its own incident is the one to mend; once that is over, what is still open pages."""
    database = await begins(nights, f"{service}-db")
    held_for(nights.world, HoldKind.DEPENDENCY, 8 * HOUR, by=database.told.handle.id)
    night = await begins(nights, service)
    await night.passes(HOUR)
    assert night.arrived == []
    assert (await night.incident()).escalation.hold.by == database.told.handle.id
    nights.world.hold = None
    await database.ends()
    await night.settled()
    assert night.arrived == ["page to ada"]


async def test_a_dependency_that_is_over_by_now_holds_nothing(nights: Nights, service: str):
    """Its workflow is gone, and could not tell when it is over: the page goes at once."""
    gone = f"incident:{service}-db:gone"
    held_for(nights.world, HoldKind.DEPENDENCY, 8 * HOUR, by=gone)
    night = await begins(nights, service)
    await until(lambda: night.arrived == ["page to ada"])
    assert nights.world.looked_up[-1].not_behind == (gone,)


def behind(database: Night, request: PageRequest) -> PageHold:
    """Held by the database's incident, and looked at again every quarter of an hour."""
    return PageHold(
        kind=HoldKind.DEPENDENCY,
        until=request.at + HOUR / 4,
        reason="the database is away",
        by=database.told.handle.id,
    )


async def test_who_waits_behind_an_incident_is_told_once(nights: Nights, service: str):
    """It was looked at again and again meanwhile."""
    database = await begins(nights, f"{service}-db")
    nights.world.hold = lambda request: behind(database, request)
    night = await begins(nights, service)
    await night.passes(minutes=20)
    asked = [each for each in nights.world.looked_up if each.subject.service == service]
    assert len(asked) == 2
    nights.world.hold = None
    await database.ends()
    await night.settled()
    signals = [each for each in await night.history() if each.HasField(SIGNALED)]
    assert len(signals) == 1


async def test_a_record_that_is_late_does_not_hold_a_page_for_long(nights: Nights, service: str):
    """Told that the dependency is over, it found it open still on the record: told once more."""
    world = nights.world
    database = await begins(nights, f"{service}-db")

    def hold(request: PageRequest) -> PageHold | None:
        written = [each.incident for each in world.records if each.incident]
        over = any(each.id == database.id and each.is_resolved for each in written)
        return None if over else behind(database, request)

    world.hold = hold
    night = await begins(nights, service)
    world.database_away = True
    await database.does("resolve")
    await night.settled()
    assert night.arrived == []
    world.database_away = False
    await database.passes(minutes=1)
    await until(lambda: night.arrived == ["page to ada"])


def on_call(*shifts: str, since: list[datetime]) -> Callable[[Target, datetime], Reached]:
    """People who take turns every four hours, from the first page on."""

    def reach(target: Target, at: datetime) -> Reached:
        if not target.schedule:
            return reached(target)
        since.append(at)
        turn = (at - since[0]) // (4 * HOUR)
        name = shifts[turn % len(shifts)]
        recipient, _ = reached(Target(person=name), Contact(channel="mail", to=f"{name}@x.org"))
        recipient = Recipient.model_copy(recipient, update={"target": target})
        return recipient, since[0] + (turn + 1) * 4 * HOUR

    return reach


async def test_a_new_shift_is_paged_while_nobody_has_it(nights: Nights, service: str):
    """Whoever goes home has told nobody; people who were paged by name are not paged again."""
    nights.world.reach = on_call("ada", "carol", since=[])
    night = await begins(nights, service, (ON_CALL, BOB))
    assert sorted(night.arrived) == ["page to ada", "page to bob"]
    arrived = night.arrives()
    await night.passes(4 * HOUR - timedelta(minutes=1))
    assert arrived() == []
    await night.passes(minutes=2)
    assert arrived() == ["page to carol"]
    assert night.pages[-1] == "level 1, round 1: shift"


async def test_a_new_shift_is_left_alone_once_somebody_has_it(nights: Nights, service: str):
    """It is in hands; nobody else is woken."""
    nights.world.reach = on_call("ada", "carol", since=[])
    night = await begins(nights, service, (ON_CALL,))
    await night.passes(3 * HOUR + timedelta(minutes=30))
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    await night.passes(minutes=45)
    assert arrived() == []


async def test_after_the_shift_an_acknowledgement_that_led_nowhere_is_the_next_ones(
    nights: Nights, service: str
):
    """The level is paged again: whoever is on call by then."""
    nights.world.reach = on_call("ada", "carol", since=[])
    night = await begins(nights, service, (ON_CALL,))
    await night.passes(3 * HOUR + timedelta(minutes=30))
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    await night.passes(minutes=61)
    assert "page to carol" in arrived()
    assert night.pages == ["level 1, round 1", "level 1, round 1: resumed"]

"""IncidentWorkflow goes on in a new run when its history is long, and loses nothing by it."""

import asyncio
from datetime import timedelta

from holdfast.domain.escalation import Escalation, EscalationRule
from holdfast.domain.notification import DeliveryReport, Notification
from holdfast.domain.page import HoldKind, PageHold, PageRequest
from holdfast.domain.person import Contact
from tests.workflows.night import Night, Nights
from tests.workflows.policies import ADA, CAROL, ESCALATE, paging, policy_for
from tests.workflows.world import reached

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
MONTH = timedelta(days=30)
CHAT = Contact(channel="chat", to="#ops")


async def begins(nights: Nights, service: str, **fields) -> Night:
    given = policy_for(service, ESCALATE, escalation=paging(**fields), health=False, quiet=MONTH)
    return await nights.begins(given, service)


async def test_the_ladder_is_climbed_on(nights: Nights, service: str):
    """Each level in its time, none left out and none again; pages keep their numbers."""
    night = await begins(nights, service, repeat=1)
    await night.next_run()
    await night.passes(11 * MINUTE)
    await night.next_run()
    await night.passes(HOUR)
    assert night.arrived == ["page to ada", "page to bob"] * 2
    assert [each.id for each in night.notifications] == [
        f"{night.id}:page:{number}:1" for number in (1, 2, 3, 4)
    ]


async def test_an_acknowledgement_is_kept_with_its_time(nights: Nights, service: str):
    """The reminder and the end come when they would have come; the last level is paged again."""
    night = await begins(nights, service)
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    await night.passes(30 * MINUTE)
    await night.next_run()
    assert (await night.incident()).acknowledged_by == "Ada"
    await night.passes(15 * MINUTE)
    assert arrived() == []
    await night.passes(16 * MINUTE)
    assert sorted(arrived()) == ["page to ada", "reminder to ada", "unacknowledged to ada"]
    assert night.pages == ["level 1, round 1", "level 1, round 1: resumed"]


async def test_a_snooze_is_kept(nights: Nights, service: str):
    """Until the morning, and then the last level."""
    night = await begins(nights, service)
    morning = await night.now() + 8 * HOUR
    await night.does("snooze", until=morning.isoformat())
    await night.next_run()
    arrived = night.arrives()
    await night.passes(8 * HOUR - MINUTE)
    assert arrived() == []
    await night.passes(2 * MINUTE)
    assert "page to ada" in arrived()


async def test_a_hold_is_kept(nights: Nights, service: str):
    """And ends when it would have ended."""
    ends = None

    def hold(request: PageRequest) -> PageHold | None:
        nonlocal ends
        ends = ends or request.at + 2 * HOUR
        if request.at >= ends:
            return None
        return PageHold(kind=HoldKind.SILENCE, until=ends, reason="planned")

    nights.world.hold = hold
    night = await begins(nights, service)
    await night.next_run()
    await night.passes(2 * HOUR - MINUTE)
    assert night.arrived == []
    await night.passes(2 * MINUTE)
    assert night.arrived == ["page to ada"]
    assert night.facts.count("the page is held: planned") == 1


async def test_what_did_not_arrive_goes_to_the_next_contact(nights: Nights, service: str):
    """Which run sent it makes no difference; nor does it to the last contact's end."""
    sms, mail = Contact(channel="sms", to="ada"), Contact(channel="mail", to="ada")
    nights.world.reach = lambda target, _: reached(target, sms, mail)
    night = await begins(nights, service)
    for arrived in (["sms"], ["sms", "mail"]):
        assert [each.address.channel for each in night.notifications] == arrived
        await night.next_run()
        last = night.notifications[-1].id
        await night.hears("delivered", DeliveryReport(notification_id=last, delivered=False))
    assert night.pages == ["level 1, round 1", "level 2, round 1"]


async def test_messages_are_kept_up_to_date(nights: Nights, service: str):
    """The one that the first run posted shows what the last comes to."""
    nights.world.reach = lambda target, _: reached(target, CHAT, edits=True)
    night = await begins(nights, service)
    await night.next_run()
    await night.does("acknowledge", by="Ada")
    await night.ends()
    last = nights.world.notifications[-1]
    assert (last.kind, last.headline.status) == ("update", "resolved")
    assert last.reply_to == f"ref-{night.id}:page:1:1"
    told = [line.text for each in nights.world.notifications for line in each.lines]
    assert told.count("Ada has it") == 1


async def test_reports_are_counted_on_for_the_rules(nights: Nights, service: str):
    """Fifty within the hour, whichever run counted them."""
    escalation = Escalation(
        policies={"default": paging((ADA,)), "loud": paging((CAROL,))},
        rules=[EscalationRule(policy="loud", occurrences="100 within 1h")],
    )
    given = policy_for(service, ESCALATE, escalation=escalation, health=False, quiet=MONTH)
    night = await nights.begins(given, service, count=40)
    await night.next_run()
    so_far = (await night.incident()).report_count
    await night.reported(count=99 - so_far)
    assert night.arrived == ["page to ada"]
    await night.reported()
    assert night.arrived == ["page to ada", "page to carol"]


async def test_who_waits_behind_it_is_told_all_the_same(nights: Nights, service: str):
    """Both went on in new runs meanwhile."""
    database = await begins(nights, f"{service}-db")
    nights.world.hold = lambda request: PageHold(
        kind=HoldKind.DEPENDENCY,
        until=request.at + 8 * HOUR,
        reason="the database is away",
        by=database.told.handle.id,
    )
    night = await begins(nights, service)
    await night.next_run()
    await database.next_run()
    nights.world.hold = None
    await database.ends()
    await night.settled()
    assert night.arrived == ["page to ada"]


async def test_a_link_stays_used(nights: Nights, service: str):
    """A new run must not give it a second life."""
    night = await begins(nights, service)
    await night.does("acknowledge", link="a")
    await night.next_run()
    assert "this link was used already" in await night.refuses("resolve", link="a")


async def test_a_new_run_waits_for_the_page_that_is_on_its_way(nights: Nights, service: str):
    """It would be lost with the run, or sent twice."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_notification: Notification) -> None:
        asked.set()
        await answer.wait()

    nights.world.deliver = slow
    given = policy_for(service, ESCALATE, escalation=paging(), health=False, quiet=MONTH)
    night = await nights.begins(given, service, settled=False)
    await asked.wait()
    run = await night.run()
    while len(await night.history()) < 160:
        await nights.world.report(given, night.told.message.batch.sample)
    assert await night.run() == run
    answer.set()
    await night.next_run()
    await night.passes(MINUTE)
    assert night.arrived == ["page to ada"]

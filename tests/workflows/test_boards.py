"""IncidentWorkflow keeps messages up to date in place: gathered, in their order, to the last."""

import asyncio
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from holdfast.domain.notification import Notification, NotificationKind
from holdfast.domain.person import Contact
from tests.workflows.night import Night, Nights
from tests.workflows.policies import ADA, BOB, ESCALATE, paging, policy_for
from tests.workflows.world import World, reached, until

CHAT = Contact(channel="chat", to="#ops")
SECONDS = timedelta(seconds=1)


def keeps_boards(world: World) -> None:
    """Ada is told over a channel whose messages can be edited, everybody else is not."""
    world.reach = lambda target, _: (
        reached(target, CHAT, edits=True) if target == ADA else reached(target)
    )


async def begins(nights: Nights, service: str, **fields) -> Night:
    keeps_boards(nights.world)
    given = policy_for(
        service, ESCALATE, escalation=paging(**fields), health=False, quiet=timedelta(days=30)
    )
    return await nights.begins(given, service)


def updates(night: Night) -> list[Notification]:
    """Every edit of the night's messages."""
    return [
        each
        for each in night.world.notifications
        if each.kind == "update" and each.headline.incident_id == night.id
    ]


def thread(night: Night) -> list[str]:
    """What the message's thread was told."""
    return [line.text for update in updates(night) for line in update.lines]


async def test_what_changes_at_once_is_one_edit(nights: Nights, service: str):
    """It shows the last state, and its thread is told of every step on the way there."""
    night = await begins(nights, service)
    morning = await night.now() + timedelta(hours=8)
    await night.does("note", by="Ada", text="it is the cable")
    await night.does("acknowledge", by="Ada", person="ada")
    await night.does("snooze", by="Bob", until=morning.isoformat())
    await night.passes(5 * SECONDS)
    (edit,) = updates(night)
    assert (edit.headline.status, edit.headline.holder) == ("acknowledged", "Ada")
    assert edit.headline.outlook == f"Snoozed until {morning:%H:%M} UTC by Bob."
    assert [line.text for line in edit.lines] == [
        "Ada: it is the cable",
        "Ada has it",
        f"Bob snoozed it until {morning:%Y-%m-%d %H:%M} UTC",
    ]


async def test_an_edit_is_of_the_page_that_was_posted(nights: Nights, service: str):
    """It names the message as the channel does, and goes where that went."""
    night = await begins(nights, service)
    await night.does("acknowledge")
    await night.passes(3 * SECONDS)
    page = next(each for each in night.notifications if each.kind == "page")
    edits = updates(night)
    assert {each.reply_to for each in edits} == {f"ref-{page.id}"}
    assert {each.address for each in edits} == {CHAT}
    assert [each.id for each in edits] == [
        f"{page.id}:update:{number}" for number in range(1, len(edits) + 1)
    ]


async def test_a_message_that_is_edited_is_not_answered_besides(nights: Nights, service: str):
    """It shows what the news would tell; where nothing can be edited, news is sent."""
    night = await begins(nights, service)
    await night.passes(minutes=11)
    arrived = night.arrives()
    await night.does("acknowledge", by="Carol")
    await night.ends()
    assert arrived() == ["acknowledged to bob", "resolved to bob"]


async def test_reports_alone_are_no_reason_to_edit(nights: Nights, service: str):
    """A storm would use up what the channel takes."""
    night = await begins(nights, service)
    await night.passes(3 * SECONDS)
    before = len(updates(night))
    await night.reported(count=900)
    await night.passes(3 * SECONDS)
    assert len(updates(night)) == before


async def test_the_last_state_lands_and_nothing_after_it(nights: Nights, service: str):
    """The incident ends when its messages show that; each line was told once."""
    night = await begins(nights, service)
    await night.does("acknowledge", by="Ada")
    await night.does("resolve", by="Ada", note="the cable")
    await night.ends()
    last = updates(night)[-1]
    assert (last.headline.status, last.headline.outlook) == (
        "resolved",
        "Resolved by Ada (the cable).",
    )
    assert last.lines[-1].text == "resolved by Ada (person): the cable"
    assert nights.world.notifications[-1] == last
    assert len(thread(night)) == len(set(thread(night)))


async def test_an_edit_under_way_is_followed_by_one_that_shows_what_came_meanwhile(
    nights: Nights, service: str
):
    """A message has one edit at a time: no older state can land on a newer one."""
    asked, answer = asyncio.Event(), asyncio.Event()
    night = await begins(nights, service)
    await night.passes(3 * SECONDS)

    async def slow(notification: Notification) -> None:
        if notification.kind == "update" and not asked.is_set():
            asked.set()
            await answer.wait()

    nights.world.deliver = slow
    await night.does("acknowledge", by="Ada")
    await asked.wait()
    before = len(updates(night))
    resolving = asyncio.create_task(night.does("resolve", by="Ada"))
    await until(lambda: "incident.resolved" in nights.world.events)
    assert len(updates(night)) == before
    answer.set()
    await resolving
    await night.ends()
    shown = [each.headline.status for each in updates(night)[before:]]
    assert shown == ["acknowledged", "resolved"]


async def test_an_edit_that_fails_for_good_does_not_hold_the_end_up(nights: Nights, service: str):
    """Somebody deleted the message: the incident ends all the same, tried once for each state."""
    refused: list[str] = []

    async def deleted(notification: Notification) -> None:
        if notification.kind == "update":
            refused.append(notification.headline.status)
            raise ApplicationError("message_not_found", type="rejected", non_retryable=True)

    nights.world.deliver = deleted
    night = await begins(nights, service)
    await night.does("acknowledge")
    await night.passes(3 * SECONDS)
    await night.ends()
    assert refused[-1] == "resolved"
    assert len(refused) == len(set(refused))


async def test_an_edit_that_fails_for_a_while_is_tried_again(nights: Nights, service: str):
    """With the same name each time, so that a channel that can tell does it once."""
    tries: list[str] = []

    async def down_twice(notification: Notification) -> None:
        if notification.kind == "update":
            tries.append(notification.id)
            if len(tries) < 3:
                raise ApplicationError("503", type="deferred")

    night = await begins(nights, service)
    await night.passes(3 * SECONDS)
    nights.world.deliver = down_twice
    await night.does("acknowledge")
    await night.passes(30 * SECONDS)
    assert len(tries) == 3
    assert len(set(tries)) == 1
    assert updates(night)[-1].headline.status == "acknowledged"


async def test_who_acts_before_the_page_is_known_to_be_posted_is_in_its_thread(
    nights: Nights, service: str
):
    """Somebody clicks at once; the channel's answer to the posting is still on its way."""
    world = nights.world
    deeds: list[asyncio.Task] = []

    async def clicked(notification: Notification) -> None:
        if notification.kind is not NotificationKind.PAGE:
            return
        handle = world.client.get_workflow_handle(notification.headline.workflow_id)
        deeds.append(asyncio.create_task(handle.execute_update("acknowledge", {"by": "Ada"})))
        await until(lambda: "incident.acknowledged" in world.events)

    world.deliver = clicked
    night = await begins(nights, service)
    await asyncio.gather(*deeds)
    await night.passes(3 * SECONDS)
    assert updates(night)[-1].headline.holder == "Ada"
    assert thread(night) == ["Ada has it"]


async def test_of_much_that_happens_before_a_page_is_posted_the_end_is_told(
    nights: Nights, service: str
):
    """A thread is told no more at once than it is later on."""
    world = nights.world

    async def much_happens(notification: Notification) -> None:
        if notification.kind is NotificationKind.PAGE:
            handle = world.client.get_workflow_handle(notification.headline.workflow_id)
            for number in range(55):
                await handle.execute_update("note", {"by": "Ada", "text": f"{number}"})

    world.deliver = much_happens
    night = await begins(nights, service)
    await night.passes(3 * SECONDS)
    assert thread(night) == [f"Ada: {number}" for number in range(5, 55)]


async def test_the_message_of_an_incident_that_the_next_one_follows_is_finished(
    nights: Nights, service: str
):
    """The error came back while the end was being shown: the old message still shows it."""
    world = nights.world
    night = await begins(nights, service)
    await night.passes(3 * SECONDS)

    async def down(notification: Notification) -> None:
        if notification.kind == "update":
            raise ApplicationError("503", type="deferred", next_retry_delay=timedelta(minutes=1))

    world.deliver = down
    await night.does("resolve", by="Ada")
    again = await night.reported()
    assert again.answer.incident_id != night.id
    world.deliver = None
    await until(lambda: any(each.headline.status == "resolved" for each in updates(night)))
    await until(lambda: len(world.paged()) == 2)
    old, new = (each for each in world.notifications if each.kind is NotificationKind.PAGE)
    assert updates(night)[-1].reply_to == f"ref-{old.id}"
    assert updates(night)[-1].lines[-1].text == "resolved by Ada (person)"
    assert new.headline.incident_id == again.answer.incident_id


async def test_every_message_is_kept_up_to_date_on_its_own(nights: Nights, service: str):
    """One that cannot be edited for now holds up no other."""
    away = Contact(channel="chat", to="#away")
    nights.world.reach = lambda target, _: reached(
        target, CHAT if target == ADA else away, edits=True
    )
    given = policy_for(
        service,
        ESCALATE,
        escalation=paging((ADA, BOB)),
        health=False,
        quiet=timedelta(days=30),
    )
    night = await nights.begins(given, service)

    async def one_is_down(notification: Notification) -> None:
        if notification.kind == "update" and notification.address == away:
            raise ApplicationError("503", type="deferred", next_retry_delay=timedelta(minutes=2))

    nights.world.deliver = one_is_down
    await night.does("acknowledge")
    await night.passes(3 * SECONDS)
    shown = {each.address.to: each.headline.status for each in updates(night)}
    assert shown["#ops"] == "acknowledged"
    assert shown.get("#away") != "acknowledged"
    nights.world.deliver = None
    await night.passes(minutes=3)
    shown = {each.address.to: each.headline.status for each in updates(night)}
    assert shown["#away"] == "acknowledged"

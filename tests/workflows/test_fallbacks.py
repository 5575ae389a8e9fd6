"""IncidentWorkflow reaches people over what works: the next contact, the next person, level."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from holdfast.domain.notification import DeliveryReport, Notification
from holdfast.domain.page import Recipient
from holdfast.domain.person import Contact
from holdfast.domain.report import fingerprint, incident_workflow_id
from holdfast.domain.target import Target
from tests.workflows.night import Night, Nights
from tests.workflows.policies import (
    ADA,
    BOB,
    CAROL,
    ESCALATE,
    ON_CALL,
    paging,
    policy_for,
    report_of,
)
from tests.workflows.world import Reached, reached, until

SMS, MAIL, CALL = (Contact(channel=channel, to="ada") for channel in ("sms", "mail", "call"))
MINUTE = timedelta(minutes=1)


async def begins(nights: Nights, service: str, *levels: tuple[Target, ...], **fields) -> Night:
    given = policy_for(
        service,
        ESCALATE,
        escalation=paging(*levels, **fields),
        health=False,
        quiet=timedelta(days=30),
    )
    return await nights.begins(given, service)


def over(*contacts: Contact) -> Callable[..., Reached]:
    """Ada is reached over these, everybody else as they are."""
    return lambda target, _: reached(target, *contacts if target == ADA else ())


def failing(*channels: str, problem: ApplicationError) -> Callable[..., Awaitable[None]]:
    async def deliver(notification: Notification) -> None:
        if notification.address.channel in channels:
            raise problem

    return deliver


REFUSED = ApplicationError("no such number", type="rejected", non_retryable=True)
DOWN = ApplicationError("503", type="deferred")
AWAY = ApplicationError("503", type="deferred", next_retry_delay=10 * MINUTE)


def ways(night: Night) -> list[str]:
    """Over what pages arrived."""
    return [each.address.channel for each in night.notifications if each.kind == "page"]


async def deliveries(night: Night) -> list[tuple[str, str]]:
    incident = await night.incident()
    return [(str(each.contact or each.target), each.status.value) for each in incident.deliveries]


async def test_after_a_refusal_the_next_contact_has_its_turn_at_once(nights: Nights, service: str):
    """No time is lost on what will never go through."""
    nights.world.reach = over(SMS, MAIL, CALL)
    nights.world.deliver = failing("sms", problem=REFUSED)
    night = await begins(nights, service)
    assert ways(night) == ["mail"]
    assert await deliveries(night) == [("sms (ada)", "failed"), ("mail (ada)", "sent")]
    incident = await night.incident()
    assert incident.deliveries[0].reason == "no such number"
    first, second = (each.notification_id for each in incident.deliveries)
    assert second == f"{first}:2"


async def test_after_its_deadline_the_next_contact_has_its_turn(nights: Nights, service: str):
    """A channel that is down is tried for a minute at the most while there is another."""
    nights.world.reach = over(SMS, MAIL)
    nights.world.deliver = failing("sms", problem=DOWN)
    night = await begins(nights, service)
    queued = (await night.incident()).deliveries[0]
    assert queued.next_contact_at == queued.queued_at + MINUTE
    await night.passes(seconds=20)
    assert ways(night) == []
    await night.passes(seconds=45)
    assert ways(night) == ["mail"]
    expired = (await night.incident()).deliveries[0]
    assert (expired.failure, expired.reason) == ("expired", "it could not be sent in time: 503")


async def test_the_last_contact_is_tried_for_an_hour(nights: Nights, service: str):
    """There is nobody after it; the next levels have their turns meanwhile."""
    nights.world.reach = over(SMS, MAIL)
    nights.world.deliver = failing("sms", "mail", problem=AWAY)
    night = await begins(nights, service)
    await night.passes(45 * MINUTE)
    assert night.arrived == ["page to bob"]
    nights.world.deliver = None
    await night.passes(10 * MINUTE)
    assert ways(night) == ["direct", "mail"]


async def test_what_was_taken_and_did_not_arrive_goes_to_the_next_contact(
    nights: Nights, service: str
):
    """The channel tells later that the message was not delivered."""
    nights.world.reach = over(SMS, MAIL)
    night = await begins(nights, service)
    sent = (await night.incident()).deliveries[0].notification_id
    lost = DeliveryReport(notification_id=sent, delivered=False, reason="the phone is off")
    await night.hears("delivered", lost)
    assert ways(night) == ["sms", "mail"]
    failed = (await night.incident()).deliveries[0]
    assert (failed.status, failed.failure, failed.reason) == (
        "failed",
        "undelivered",
        "the phone is off",
    )


async def test_what_did_not_arrive_anywhere_is_told_to_the_next_level(nights: Nights, service: str):
    """Whose turn is at once."""
    night = await begins(nights, service)
    sent = (await night.incident()).deliveries[0].notification_id
    lost = DeliveryReport(notification_id=sent, delivered=False, reason="the phone is off")
    await night.hears("delivered", lost)
    assert night.arrived == ["page to ada", "page to bob"]
    unreached = ("ada could not be reached: the phone is off",)
    assert night.notifications[-1].headline.unreached == unreached


async def test_an_arrival_is_kept(nights: Nights, service: str):
    """Sent is what a channel took, delivered what arrived."""
    night = await begins(nights, service)
    sent = (await night.incident()).deliveries[0].notification_id
    await night.hears("delivered", DeliveryReport(notification_id=sent, delivered=True))
    assert await deliveries(night) == [("direct (ada)", "delivered")]


@pytest.mark.parametrize(("arrives", "told"), [(True, ["sms"]), (False, ["sms", "mail"])])
async def test_a_report_that_overtakes_the_answer_counts(
    nights: Nights, service: str, *, arrives: bool, told: list[str]
):
    """A channel may tell what became of a message before its answer to the sending is here."""
    world = nights.world
    world.reach = over(SMS, MAIL)

    async def tells_first(notification: Notification) -> None:
        if notification.contact != SMS:
            return
        report = DeliveryReport(notification_id=notification.id, delivered=arrives, reason="off")
        workflow_id = incident_workflow_id(service, fingerprint(report_of(service)))
        await world.client.get_workflow_handle(workflow_id).signal("delivered", report)

    world.deliver = tells_first
    night = await begins(nights, service)
    assert ways(night) == told
    status = (await night.incident()).deliveries[0].status
    assert status == ("delivered" if arrives else "failed")


async def test_stale_and_foreign_reports_are_ignored(nights: Nights, service: str):
    """A report that overtook another, or is of another incident, changes nothing."""
    nights.world.reach = over(SMS, MAIL)
    night = await begins(nights, service)
    sent = (await night.incident()).deliveries[0].notification_id
    arrived = DeliveryReport(notification_id=sent, delivered=True)
    for report in (
        arrived,
        arrived.model_copy(update={"delivered": False, "reason": "late"}),
        DeliveryReport(notification_id="another", delivered=False),
    ):
        await night.hears("delivered", report)
    assert await deliveries(night) == [("sms (ada)", "delivered")]


async def test_who_takes_it_as_a_contact_fails_spares_the_next(nights: Nights, service: str):
    """The failure is on the record; no other contact and nobody else is told."""
    world = nights.world
    world.reach = over(SMS, MAIL)
    deeds: list[asyncio.Task] = []

    async def taken_and_refused(notification: Notification) -> None:
        if notification.contact != SMS:
            return
        handle = world.client.get_workflow_handle(notification.headline.workflow_id)
        deeds.append(asyncio.create_task(handle.execute_update("acknowledge", {"by": "Bob"})))
        await until(lambda: "incident.acknowledged" in world.events)
        raise REFUSED

    world.deliver = taken_and_refused
    night = await begins(nights, service)
    await asyncio.gather(*deeds)
    await night.passes(30 * MINUTE)
    assert ways(night) == []
    assert await deliveries(night) == [("sms (ada)", "failed")]


async def test_once_somebody_has_it_a_lost_message_is_not_sent_again(nights: Nights, service: str):
    """It is on the record, and nobody is paged."""
    nights.world.reach = over(SMS, MAIL)
    night = await begins(nights, service)
    await night.does("acknowledge")
    sent = (await night.incident()).deliveries[0].notification_id
    await night.hears("delivered", DeliveryReport(notification_id=sent, delivered=False))
    assert ways(night) == ["sms"]
    assert ("sms (ada)", "failed") in await deliveries(night)


def nobody(target: Target) -> Reached:
    problem = f"nobody is on call: {target.schedule or target.person}"
    return Recipient(target=target, who=str(target), problem=problem), None


async def test_where_nobody_is_on_call_the_next_level_is_paged_at_once(
    nights: Nights, service: str
):
    """And told that; the record has it too."""
    nights.world.reach = lambda target, _: nobody(target) if target == ON_CALL else reached(target)
    night = await begins(nights, service, (ON_CALL,), (BOB,))
    assert night.arrived == ["page to bob"]
    assert night.notifications[0].headline.unreached == ("nobody is on call: primary",)
    assert await deliveries(night) == [("on call: primary", "failed"), ("direct (bob)", "sent")]
    assert (await night.incident()).deliveries[0].failure == "nobody"


async def test_while_one_of_a_level_is_reached_it_keeps_its_time(nights: Nights, service: str):
    """The failure is still told to the next level."""
    nights.world.reach = lambda target, _: nobody(target) if target == ON_CALL else reached(target)
    night = await begins(nights, service, (ON_CALL, ADA), (BOB,))
    await night.passes(9 * MINUTE)
    assert night.arrived == ["page to ada"]
    await night.passes(2 * MINUTE)
    assert night.notifications[-1].headline.unreached == ("nobody is on call: primary",)


async def test_an_optional_target_that_is_not_reached_is_told_to_nobody(
    nights: Nights, service: str
):
    """The record has it."""
    optional = ON_CALL.model_copy(update={"mandatory": False})
    nights.world.reach = lambda target, _: nobody(target) if target.schedule else reached(target)
    night = await begins(nights, service, (optional,), (BOB,))
    assert night.arrived == ["page to bob"]
    assert night.notifications[0].headline.unreached == ()


async def test_where_nobody_at_all_is_reached_rounds_keep_their_time(nights: Nights, service: str):
    """A hundred rounds must not pass in a moment; who is reached at last is told everything."""
    away = {"ada", "bob"}
    nights.world.reach = lambda target, _: (
        nobody(target) if target.person in away else reached(target)
    )
    night = await begins(nights, service, (ADA,), (BOB,), repeat=100)
    assert night.pages == ["level 1, round 1", "level 2, round 1"]
    await night.passes(21 * MINUTE)
    assert night.pages[-1] == "level 2, round 3"
    away.remove("bob")
    await night.passes(10 * MINUTE)
    assert night.arrived == ["page to bob"]
    told = ("nobody is on call: ada", "nobody is on call: bob")
    assert sorted(night.notifications[0].headline.unreached) == sorted(told)


async def test_the_last_levels_failure_stays_on_the_incident(nights: Nights, service: str):
    """No page comes that could tell it."""
    nights.world.reach = lambda target, _: nobody(target)
    night = await begins(nights, service, (ADA,), (CAROL,))
    escalation = (await night.incident()).escalation
    assert escalation.unreached == ("nobody is on call: ada", "nobody is on call: carol")
    assert "there is nobody left to page" in night.facts[-1]

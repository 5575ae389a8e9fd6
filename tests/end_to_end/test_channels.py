"""One real system and everybody it speaks to: over each channel it pages and is answered."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from activities.channels.pagerduty import dedup_key
from activities.channels.sms_text import short_id
from examples.stand_ins.server import drops, hangs, too_many_requests, trouble
from examples.stand_ins.slack_members import SlackMembers
from tests.end_to_end.office import Office, opened
from tests.end_to_end.town import until
from tests.end_to_end.vendors import (
    ADA,
    AT_ONCE,
    BROKEN_DEADLINE,
    GRACE,
    GRACES_NUMBER,
    OPS_NUMBER,
    PUBLIC_URL,
    SLACK_TIMEOUT,
)

ERROR = "Broken"
ACKNOWLEDGE = "holdfast.acknowledge"


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[Office]:
    async with opened() as office:
        yield office


async def test_one_level_reaches_every_channel_and_an_acknowledgement_is_told_to_all(
    office: Office,
) -> None:
    """Side by side; then nobody is paged, and whoever was told hears who has it."""
    vendors = office.vendors
    incident = await office.caller.opened("everywhere", ERROR)
    short = short_id(incident)
    await until(
        lambda: (
            office.posted(incident)
            and vendors.twilio.to(OPS_NUMBER)
            and vendors.mail.to("ops@example.org")
            and vendors.pagerduty.alerts.get(dedup_key(incident))
            and vendors.hooks.pages(incident)
            and vendors.apprise.notes
        )
    )
    assert f"ACK {short}" in vendors.twilio.to(OPS_NUMBER)[0].body
    assert ERROR in vendors.mail.to("ops@example.org")[0].subject

    await office.caller.post(f"/errors/{incident}/acknowledge", {"by": "ada"})
    await until(lambda: vendors.pagerduty.alerts[dedup_key(incident)].status == "acknowledged")
    await until(lambda: "Acknowledged by ada" in office.posted(incident)[0].words)
    await until(lambda: f"ada has {short}" in vendors.twilio.to(OPS_NUMBER)[-1].body)
    await until(lambda: len(vendors.mail.to("ops@example.org")) == 2)
    await until(lambda: len(vendors.apprise.notes) == 2)
    await until(lambda: vendors.hooks.arrivals[-1].type == "incident.acknowledged")
    assert [each["kind"] for each in await office.told(incident)].count("page") == 6


async def test_a_click_in_slack_acknowledges(office: Office) -> None:
    """By the person whose member id it is; the message is edited and its thread has it."""
    incident = await office.caller.opened("clicked", ERROR)
    page = await office.page(incident)
    await office.members.click(page, ACKNOWLEDGE, user=ADA)
    found = await office.taken(incident, by="Ada Lovelace")
    assert (found["custody"]["person"], found["custody"]["via"]) == ("ada", "slack")
    slack = office.vendors.slack
    await until(lambda: "Acknowledged by Ada Lovelace" in slack.now(page).words)
    assert ACKNOWLEDGE not in slack.now(page).offers
    await until(lambda: any("Ada Lovelace" in each.words for each in slack.thread(page)))


async def test_what_is_not_signed_by_slack_does_nothing(office: Office) -> None:
    """A click with another secret is refused with 401, and nobody has the incident."""
    incident = await office.caller.opened("clicked", "Forged")
    page = await office.page(incident)
    forger = SlackMembers(office.vendors.slack, office.holdfast, "0" * 32)
    await forger.click(page, ACKNOWLEDGE, user=ADA)
    assert "answered 401" in office.vendors.slack.refusals.pop()
    assert (await office.caller.incident(incident))["acknowledged_by"] is None


async def test_commands_in_slack_list_and_acknowledge(office: Office) -> None:
    """``/holdfast list`` shows the incident to whoever asked alone, and ``ack`` takes it."""
    incident = await office.caller.opened("typed", ERROR)
    await office.page(incident)
    slack = office.vendors.slack

    async def said(words: str) -> bool:
        return any(words in each.text for each in slack.whispers if each.user == GRACE)

    async def listed() -> bool:
        await office.members.command("list", user=GRACE, channel="#ops")
        return await said(f"{short_id(incident)} ")

    await until(listed)
    await office.members.command(f"ack {short_id(incident)}", user=GRACE, channel="#ops")
    await until(lambda: said("you have it"))
    await office.taken(incident, by="Grace Hopper")
    # The edit is done before another test has Slack fail.
    await until(lambda: "Acknowledged by Grace Hopper" in office.posted(incident)[0].words)


async def test_a_reply_to_a_text_message_acknowledges(office: Office) -> None:
    """``ACK`` alone means what the number was paged for last."""
    twilio, before = office.vendors.twilio, len(office.vendors.twilio.to(GRACES_NUMBER))
    incident = await office.caller.opened("texted", ERROR)
    await until(lambda: len(twilio.to(GRACES_NUMBER)) > before)
    text = twilio.to(GRACES_NUMBER)[-1]

    async def delivered() -> bool:
        return (await office.told(incident))[0]["status"] == "delivered"

    await twilio.report(office.holdfast, text, "delivered")
    await until(delivered)
    answer = await twilio.reply(office.holdfast, text, says="Ack")
    assert f"{short_id(incident)}: you have it" in answer
    found = await office.taken(incident, by="Grace Hopper")
    assert found["custody"]["via"] == "sms"


async def test_a_link_in_an_email_acts_once_and_only_when_posted(office: Office) -> None:
    """GET does nothing, since mail programs open links; a second POST is refused."""
    incident, path = await _mailed(office, ERROR)
    async with httpx.AsyncClient(base_url=office.holdfast.url) as anybody:
        assert (await anybody.get(path)).status_code == 200
        assert (await office.caller.incident(incident))["acknowledged_by"] is None

        done = await anybody.post(path, data={"action": "acknowledge"})
        assert done.is_success, done.text
        found = await office.taken(incident, by="Linus Torvalds")
        assert found["custody"]["via"] == "email"

        again = await anybody.post(path, data={"action": "resolve"})
        assert again.is_client_error, again.text
        assert (await office.caller.incident(incident))["status"] == "acknowledged"


async def test_by_a_link_in_an_email_an_incident_is_handed_over(office: Office) -> None:
    """Whom the page's list names is paged, and the record says over what it was done."""
    incident, path = await _mailed(office, "Handed")
    async with httpx.AsyncClient(base_url=office.holdfast.url) as anybody:
        done = await anybody.post(path, data={"action": "reassign", "to": "grace"})
    assert done.is_success, done.text
    assert "Grace Hopper" in done.text

    async def paged() -> bool:
        return any(each["person"] == "grace" for each in await office.told(incident))

    await until(paged)
    assert "incident.reassigned" in await office.caller.events(incident)


async def _mailed(office: Office, error: str) -> tuple[str, str]:
    """An incident that Linus was told of by email, and the path of that email's link."""
    incident = await office.caller.opened("mailed", error)

    def texts() -> list[str]:
        mails = office.vendors.mail.to("linus@example.org")
        return [each.text for each in mails if f"{error}: it broke" in each.text]

    await until(texts)
    text = texts()[0]
    link = re.search(rf"{re.escape(PUBLIC_URL)}/act/\S+", text)
    assert link, text
    return incident, link[0].removeprefix(PUBLIC_URL)


async def test_acknowledging_in_pagerduty_acknowledges_here(office: Office) -> None:
    """Told by a signed v3 webhook; resolving there resolves here."""
    pagerduty = office.vendors.pagerduty
    incident = await office.caller.opened("paged", ERROR)
    await until(lambda: dedup_key(incident) in pagerduty.alerts)
    pagerduty.acknowledge(dedup_key(incident), by="Ada Lovelace")
    found = await office.taken(incident, by="Ada Lovelace")
    assert found["custody"]["via"] == "pagerduty"
    pagerduty.resolve(dedup_key(incident), by="Ada Lovelace")

    async def resolved() -> bool:
        return (await office.caller.incident(incident))["resolved_by"] == "Ada Lovelace"

    await until(resolved)


async def test_a_webhooks_page_is_answered_over_the_api(office: Office) -> None:
    """The second who acknowledges is told who was first."""
    incident = await office.caller.opened("plain", ERROR)
    await until(lambda: office.vendors.hooks.pages(incident))
    first = await office.caller.post(f"/errors/{incident}/acknowledge", {"by": "ada"})
    assert first.status_code == 200, first.text
    second = await office.caller.post(f"/errors/{incident}/acknowledge", {"by": "grace"})
    assert second.status_code == 409
    assert "ada" in second.json()["detail"]


async def test_a_text_message_that_does_not_arrive_brings_the_next_contact(
    office: Office,
) -> None:
    """Twilio took it, and says later that it was not delivered: the person's email is next."""
    twilio, before = office.vendors.twilio, len(office.vendors.twilio.to(GRACES_NUMBER))
    incident = await office.caller.opened("undelivered", ERROR)
    await until(lambda: len(twilio.to(GRACES_NUMBER)) > before)
    text = twilio.to(GRACES_NUMBER)[-1]

    async def status(place: int, wanted: str) -> bool:
        told = await office.told(incident)
        return len(told) > place and told[place]["status"] == wanted

    await until(lambda: status(0, "sent"))
    await twilio.report(office.holdfast, text, "undelivered", error=30003)
    await until(lambda: status(1, "sent"))
    assert office.vendors.mail.to("grace@example.org")
    text_message, mail = await office.told(incident)
    assert (text_message["failure"], text_message["channel"]) == ("undelivered", "sms")
    assert "30003" in text_message["reason"]
    assert (mail["channel"], mail["person"]) == ("email", "grace")


async def test_a_channel_that_is_down_delays_no_other_and_falls_back(office: Office) -> None:
    """It answers 500: the other target is told at once, and the fallback by the deadline.

    Not before it was tried again, and sooner only where a further try would come too late.
    """
    office.vendors.broken.down = trouble(500)
    began = datetime.now(UTC)
    try:
        incident = await office.caller.opened("outage", ERROR)
        await until(lambda: len(office.vendors.hooks.pages(incident)) == 2)
    finally:
        office.vendors.broken.down = None
    other, fallback = office.vendors.hooks.pages(incident)
    assert (other.path, fallback.path) == ("/hook", "/spare")
    assert other.at - began < AT_ONCE
    assert BROKEN_DEADLINE / 2 < (fallback.at - other.at).total_seconds() < BROKEN_DEADLINE + 1

    async def explained() -> bool:
        return [each["status"] for each in await office.told(incident)].count("sent") == 2

    await until(explained)
    failed = next(each for each in await office.told(incident) if each["status"] == "failed")
    assert (failed["channel"], failed["failure"]) == ("broken", "expired")
    assert "500" in failed["reason"]
    assert len(failed["attempts"]) > 1


async def test_a_page_is_sent_again_until_it_is_taken(office: Office) -> None:
    """Slack asks for two seconds, drops the connection, and hangs: one message in the end."""
    office.vendors.slack.troubles.extend([too_many_requests(2), drops, hangs])
    began = datetime.now(UTC)
    incident = await office.caller.opened("limited", ERROR)
    await office.page(incident)
    assert datetime.now(UTC) - began >= timedelta(seconds=2 + SLACK_TIMEOUT)

    async def explained() -> list[Any]:
        return (await office.told(incident))[0]["attempts"]

    await until(explained)
    limited, dropped, hung, sent = await explained()
    assert "429" in limited["problem"]
    assert "could not be reached" in dropped["problem"]
    assert "no answer within 2 s" in hung["problem"]
    assert sent["problem"] is None
    assert len(office.posted(incident)) == 1

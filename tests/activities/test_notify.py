import asyncio
import dataclasses
from datetime import timedelta

import pytest
import pytest_asyncio
from temporalio.exceptions import ApplicationError

from activities.channels.channel import Addresses
from activities.channels.senders import Senders
from activities.notify import NotifyActivities
from holdfast.domain.notification import FailureKind, NotificationKind
from holdfast.errors import Unavailable
from tests.activities.stand_in import answers


def act_url(notification):
    return f"https://holdfast.example/act/{notification.id}"


ADDRESSES = Addresses("https://holdfast.example/", "https://temporal.example", "prod", act_url)


class Pages:
    """The ledger; keeps what was sent."""

    def __init__(self):
        self.told = []
        self.away = False

    async def sent(self, notification_id):
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        self.told.append(notification_id)


@pytest.fixture
def channels(service, slack):
    """The policy file's channels; changing them is a reload."""
    return {
        "team": {
            "kind": "slack",
            "token": "${SLACK_TOKEN}",
            "to": "#ops",
            "base_url": slack.base_url,
        },
        "hook": {"kind": "webhook", "url": f"{service.url}/hook", "secrets": ["${SIGNING}"]},
    }


@pytest.fixture
def pages():
    return Pages()


@pytest_asyncio.fixture
async def senders(channels, make_policy, secrets, http):
    senders = Senders(
        policy=lambda: make_policy(channels=channels), secrets=secrets, public_url=None, http=http
    )
    yield senders
    await senders.close()


@pytest.fixture
def notifier(senders, secrets, pages):
    return NotifyActivities(senders=senders, secrets=secrets, links=ADDRESSES.links, pages=pages)


@pytest.fixture
def send(notifier, activity_environment, make_notification):
    async def send(channel):
        return await activity_environment.run(
            notifier.send_notification, make_notification(channel=channel)
        )

    return send


async def test_a_notification_goes_over_the_channel_of_its_target(send, service, slack):
    """Each kind of channel with its own sender."""
    service.expect("POST /hook", answers())
    await send("hook")
    receipt = await send("team")
    assert receipt.reference == f"{slack.messages[0].channel}:{slack.messages[0].ts}"


async def test_links_lead_to_the_incident_and_its_workflow(send, service):
    """Ids are escaped: a workflow's holds colons."""
    service.expect("POST /hook", answers())
    await send("hook")
    sent = service.request.json
    assert sent["data"]["links"] == {
        "incident_url": "https://holdfast.example/api/system/errors/incident-1",
        "temporal_url": "https://temporal.example/namespaces/prod/workflows/"
        "incident%3Achannels%3Aa1b2",
        "act_url": f"https://holdfast.example/act/{sent['id']}",
    }


def test_without_addresses_there_are_no_links(make_notification):
    """The settings may leave either out."""
    links = Addresses(None, None, "default", lambda _: None).links(make_notification())
    assert set(links.model_dump().values()) == {None}


async def test_a_channel_that_a_reload_changed_is_used_as_it_is_now(send, service, channels):
    """The policy is asked at each send."""
    service.expect("POST /hook", answers())
    await send("hook")
    channels["hook"] = {"kind": "webhook", "url": f"{service.url}/moved"}
    service.expect("POST /moved", answers())
    await send("hook")


async def test_a_channel_is_opened_once(send, senders, slack):
    """Its connections are kept for the next page."""
    await send("team")
    await send("team")
    assert len(slack.messages) == 2
    assert len(senders._made) == 1


@pytest.mark.parametrize("channel", ["gone", "secretless"])
async def test_a_wrong_configuration_is_lasting(send, channels, channel):
    """A channel that is gone, a secret that is not there: no retry helps."""
    channels["secretless"] = {"kind": "webhook", "url": "http://x/", "secrets": ["${ABSENT}"]}
    with pytest.raises(ApplicationError) as caught:
        await send(channel)
    assert caught.value.type == FailureKind.CONFIGURATION.value
    assert caught.value.non_retryable


async def test_a_rejection_is_lasting(send, service):
    """The kind of failure is the error's type."""
    service.expect("POST /hook", answers(410))
    with pytest.raises(ApplicationError, match="answered 410") as caught:
        await send("hook")
    assert caught.value.type == FailureKind.REJECTED.value
    assert caught.value.non_retryable


async def test_a_deferral_is_tried_again_when_the_channel_says(send, service):
    """Temporal waits and retries; nothing waits in the activity."""
    service.expect("POST /hook", answers(429, headers={"Retry-After": "20"}))
    with pytest.raises(ApplicationError, match="answered 429") as caught:
        await send("hook")
    assert caught.value.type == "deferred"
    assert not caught.value.non_retryable
    assert caught.value.next_retry_delay == timedelta(seconds=20)


async def test_without_a_wish_of_the_channel_the_retry_policy_decides(send, service):
    """No delay of our own."""
    service.expect("POST /hook", answers(503))
    with pytest.raises(ApplicationError) as caught:
        await send("hook")
    assert caught.value.next_retry_delay is None


async def test_secrets_that_are_echoed_are_hidden(send, service):
    """The reason is kept in the audit log."""
    service.expect("POST /hook", answers(400, "key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw?"))
    with pytest.raises(ApplicationError, match=r"key \[secret\]\?") as caught:
        await send("hook")
    assert caught.value.cause is None


async def test_what_is_on_the_wire_as_it_is_given_up_comes_to_its_end(
    send, service, activity_environment
):
    """It arrived all the same: the record must not say that it was not sent."""

    async def after_it_was_given_up(request):
        activity_environment.cancel()
        await asyncio.sleep(0.05)
        return await answers()(request)

    service.expect("POST /hook", after_it_was_given_up)
    assert (await send("hook")).attempts[-1].problem is None


async def test_what_gets_no_answer_is_given_up(send, service, activity_environment):
    """Whoever takes an incident does not wait for a channel that hangs."""

    async def given_up(request):
        activity_environment.cancel()
        return await service.hangs(request)

    service.expect("POST /hook", given_up)
    with pytest.raises(asyncio.CancelledError):
        await send("hook")


async def test_every_try_is_remembered(send, service, activity_environment):
    """When each was, and what went wrong: an incident shows them all."""
    beats = []
    activity_environment.on_heartbeat = lambda *details: beats.append(details)
    service.expect("POST /hook", answers(503))
    with pytest.raises(ApplicationError):
        await send("hook")
    info = activity_environment.info
    activity_environment.info = dataclasses.replace(info, heartbeat_details=beats[-1])
    service.expect("POST /hook", answers())
    receipt = await send("hook")
    assert [each.problem for each in receipt.attempts] == [
        "the webhook's receiver answered 503",
        None,
    ]


async def test_a_failure_for_good_carries_every_try(send, service):
    """The incident keeps them with the failure."""
    service.expect("POST /hook", answers(410))
    with pytest.raises(ApplicationError) as caught:
        await send("hook")
    assert "answered 410" in caught.value.details[0]["problem"]


async def test_the_ledger_hears_of_pages_alone(
    notifier, pages, service, activity_environment, make_notification
):
    """News are not what a contact is throttled by."""
    for kind in (NotificationKind.PAGE, NotificationKind.RESOLVED):
        service.expect("POST /hook", answers())
        notification = make_notification(kind, channel="hook")
        await activity_environment.run(notifier.send_notification, notification)
    assert len(pages.told) == 1


async def test_a_page_counts_as_sent_without_the_ledger(send, pages, service):
    """What the ledger misses is at worst told twice."""
    pages.away = True
    service.expect("POST /hook", answers())
    assert (await send("hook")).attempts[-1].problem is None

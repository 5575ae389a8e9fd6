import asyncio
import json
from datetime import timedelta

import pytest
import pytest_asyncio
from aiohttp import web

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.slack import SlackSender
from activities.channels.slack_blocks import escaped
from examples.stand_ins.server import trouble
from holdfast.domain.channel import SlackChannel
from holdfast.domain.notification import FailureKind, NotificationKind
from holdfast.domain.person import Contact
from holdfast.domain.target import Target
from holdfast.errors import ConfigurationError
from tests.activities.stand_in import answers, drops

POSTED = answers(
    200,
    json.dumps({"ok": True, "channel": "C1", "ts": "1.2"}),
    {"Content-Type": "application/json"},
)

LINKS = Links(
    incident_url="https://holdfast.example/api/system/errors/1?a=1&b=2",
    temporal_url="https://temporal.example/namespaces/default/workflows/incident%3Achannels",
)


@pytest_asyncio.fixture
async def send(slack, secrets, make_notification):
    senders = {}

    async def send(notification=None, **changes):
        channel = SlackChannel.model_validate(
            {"kind": "slack", "token": "${SLACK_TOKEN}", "to": "#ops", "base_url": slack.base_url}
            | changes
        )
        if channel not in senders:
            senders[channel] = SlackSender(channel, secrets)
        return await senders[channel].send(notification or make_notification(), LINKS)

    yield send
    for sender in senders.values():
        await sender.close()


def shown(message):
    """All that a reader sees of a message."""
    return json.dumps(message.blocks, ensure_ascii=False)


async def test_a_page_tells_all_there_is(slack, send, make_notification):
    """Who is woken at night must not have to look anything up."""
    notification = make_notification()
    receipt = await send(notification)
    (message,) = slack.messages
    assert message.sent_to == "#ops"
    assert receipt.reference == f"{message.channel}:{message.ts}"
    assert message.blocks[0]["text"]["text"] == "CRITICAL: channels"
    for fact in (
        "StreamLost: no data for 10 s",
        "*Category*\\nstream_failure",
        "*Severity*\\ncritical",
        "*Status*\\nescalated",
        "*Reports*\\n42",
        "*Opened*\\n<!date^1772334855^",
        "• restart: failed, answered 500",
        "Level 2 is paged at 03:20:00 UTC",
        "<https://holdfast.example/api/system/errors/1?a=1&amp;b=2|Incident>",
        "|Temporal>",
    ):
        assert fact in shown(message)
    assert message.text == "[CRITICAL] channels: StreamLost: no data for 10 s"
    assert message.metadata["event_payload"]["notification_id"] == notification.id


async def test_a_target_of_its_own_is_reached(slack, send, make_notification):
    """A member's id opens a direct conversation, whose id the reference holds."""
    receipt = await send(make_notification(to="U0000ANNA"))
    assert slack.messages[0].sent_to == "U0000ANNA"
    assert str(receipt.reference).startswith("D")


@pytest.mark.parametrize("kind", [NotificationKind.ACKNOWLEDGED, NotificationKind.RESOLVED])
async def test_news_are_posted_in_the_pages_thread(slack, send, make_notification, kind):
    """Whoever was paged finds the end where the beginning was."""
    page = await send(make_notification(to="U0000ANNA"))
    await send(make_notification(kind, to="U0000ANNA", reply_to=page.reference))
    first, second = slack.messages
    assert (second.channel, second.thread_ts) == (first.channel, first.ts)
    assert kind.value.capitalize() in second.text


@pytest.mark.parametrize("kind", [NotificationKind.UNACKNOWLEDGED, NotificationKind.RESOLVED])
async def test_only_what_needs_somebody_is_shown_to_the_whole_channel(
    service, send, make_notification, kind
):
    """That nobody has it any more must not stay hidden in a thread."""
    service.expect("POST /api/chat.postMessage", POSTED)
    await send(make_notification(kind, reply_to="C1:1.1"), base_url=f"{service.url}/api/")
    sent = service.request.json
    assert (sent["channel"], sent["thread_ts"]) == ("C1", "1.1")
    assert sent["reply_broadcast"] is (kind is NotificationKind.UNACKNOWLEDGED)


async def test_news_of_an_unsent_page_stand_alone(slack, send, make_notification):
    """There is no thread to reply in."""
    await send(make_notification(NotificationKind.RESOLVED))
    assert slack.messages[0].thread_ts is None


async def test_a_page_is_never_hidden_in_a_thread(slack, send, make_notification):
    """A reply alarms nobody."""
    first = await send()
    await send(make_notification(reply_to=first.reference))
    assert slack.messages[1].thread_ts is None


async def test_a_reminder_is_never_hidden_in_a_thread(slack, send, make_notification):
    """Whoever has it is to hear of it once more, where they are reached."""
    page = await send(make_notification(to="U0000ANNA"))
    reminder = make_notification(
        NotificationKind.REMINDER, to="U0000ANNA", reply_to=page.reference, holder="Anna"
    )
    receipt = await send(reminder)
    assert receipt.reference != page.reference
    assert slack.messages[1].thread_ts is None
    assert slack.messages[1].text.startswith("You still have this: channels: StreamLost")


async def test_the_contact_is_told_and_not_the_policys_target(slack, send, make_notification):
    """A page for a person goes to one of their contacts."""
    notification = make_notification().model_copy(
        update={
            "target": Target(person="anna"),
            "contact": Contact(channel="team", to="U0000ANNA"),
        }
    )
    await send(notification)
    assert slack.messages[0].sent_to == "U0000ANNA"


async def test_nothing_of_a_report_is_taken_for_markup(slack, send, make_notification):
    """A report must not mention everybody or disguise a link."""
    evil = "<!channel> <https://evil.example|Incident> & co"
    await send(make_notification(title=evil, reason=evil, tried=(evil,), outlook=evil))
    (message,) = slack.messages
    assert '"verbatim": false' not in shown(message)
    assert shown(message).count('"mrkdwn"') == shown(message).count('"verbatim": true')
    assert "<!channel>" not in shown(message) + message.text
    assert "<https://evil" not in shown(message) + message.text
    assert shown(message).count("&lt;!channel&gt; &lt;https://evil") == 4


async def test_the_longest_message_is_still_taken(slack, send, make_notification):
    """Slack refuses a message as a whole when one text is too long."""
    long = "<&>" * 2000
    await send(make_notification(service="s" * 100, title=long, reason=long, tried=(long,) * 10))
    assert slack.refusals == []


@pytest.mark.parametrize(
    ("words", "limit", "expected"),
    [
        ("a < b", 10, "a &lt; b"),
        ("a < b", 5, "a …"),
        ("a < b", 7, "a &lt;…"),
        ("", 5, " "),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
    ],
)
def test_shortening_cuts_no_entity_in_two(words, limit, expected):
    """Half an entity would be shown as it stands."""
    assert escaped(words, limit=limit) == expected


async def test_the_rate_limit_is_obeyed(slack, send):
    """Slack says when to come again; the SDK's own retries are off."""
    slack.troubles.append(trouble(429, error="ratelimited", headers={"Retry-After": "30"}))
    with pytest.raises(DeliveryDeferred, match="ratelimited") as caught:
        await send()
    assert caught.value.retry_after == timedelta(seconds=30)
    assert slack.messages == []


@pytest.mark.parametrize(
    "problem",
    [
        trouble(500),
        trouble(503, error="service_unavailable"),
        trouble(200, error="internal_error"),
        answers(502, "<html>bad gateway</html>", {"Content-Type": "text/html"}),
        answers(200, "{not json", {"Content-Type": "application/json"}),
        drops,
    ],
)
async def test_slacks_own_trouble_is_deferred(slack, send, problem):
    """It passes; one request was made and no more."""
    slack.troubles.append(problem)
    with pytest.raises(DeliveryDeferred, match="Slack"):
        await send()
    assert not slack.troubles
    assert slack.messages == []


async def test_a_slack_that_hangs_is_deferred(slack, send):
    """The channel's timeout counts, not the SDK's thirty seconds."""
    released = asyncio.Event()

    async def hang(_):
        await released.wait()
        return web.Response()

    slack.troubles.append(hang)
    with pytest.raises(DeliveryDeferred, match=r"no answer within 0\.5 s"):
        await send(timeout="500ms")
    released.set()


async def test_a_slack_that_is_away_is_deferred(send, closed_url):
    """The network comes back."""
    with pytest.raises(DeliveryDeferred, match="Connection refused"):
        await send(base_url=f"{closed_url}/api/")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("account_inactive", FailureKind.CONFIGURATION),
        ("not_in_channel", FailureKind.CONFIGURATION),
        ("is_archived", FailureKind.CONFIGURATION),
        ("missing_scope", FailureKind.CONFIGURATION),
        ("msg_too_long", FailureKind.REJECTED),
        ("something_new", FailureKind.REJECTED),
    ],
)
async def test_what_slack_will_never_take_is_rejected(slack, send, error, kind):
    """With Slack's own word, and whose fault it is."""
    slack.troubles.append(trouble(200, error=error))
    with pytest.raises(DeliveryRejected, match=error) as caught:
        await send()
    assert caught.value.kind is kind


async def test_a_wrong_token_is_a_configuration_failure(slack, send, secrets):
    """The token is asked each time, so that a new one needs no restart."""
    right = secrets.environment["SLACK_TOKEN"]
    secrets.environment["SLACK_TOKEN"] = "xoxb-of-yesterday"
    with pytest.raises(DeliveryRejected, match="invalid_auth") as caught:
        await send()
    assert caught.value.kind is FailureKind.CONFIGURATION
    secrets.environment["SLACK_TOKEN"] = right
    assert await send()


async def test_an_unknown_channel_is_a_configuration_failure(slack, send, make_notification):
    """Somebody has to put the policy file right."""
    with pytest.raises(DeliveryRejected, match="channel_not_found") as caught:
        await send(make_notification(to="#gone"))
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_without_an_address_nothing_is_sent(slack, send):
    """Neither the target nor the channel says whom to reach."""
    with pytest.raises(DeliveryRejected, match="add to") as caught:
        await send(to=None)
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_a_missing_token_is_named(send):
    """Nothing is sent without one."""
    with pytest.raises(ConfigurationError, match="ABSENT"):
        await send(token="${ABSENT}")

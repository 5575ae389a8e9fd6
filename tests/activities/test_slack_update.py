"""A page in Slack is brought up to date in place, its thread tells the steps."""

import json
from datetime import timedelta

import pytest
import pytest_asyncio

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.slack import SlackSender
from holdfast.domain.channel import SlackChannel
from holdfast.domain.notification import FailureKind, NotificationKind
from tests.activities.stand_in import answers

UPDATE = "POST /api/chat.update"
POST = "POST /api/chat.postMessage"
AUTH = "POST /api/auth.test"
LINES = (
    {"at": "2026-03-01T03:14:15Z", "text": "level 1 is paged"},
    {"at": "2026-03-01T03:15:15Z", "text": "Ada has it"},
)


def says(status=200, headers=None, **body):
    headers = {"Content-Type": "application/json"} | (headers or {})
    return answers(status, json.dumps(body), headers)


TAKEN = says(ok=True, channel="C1", ts="1.1")


def refused(error):
    return says(ok=False, error=error)


@pytest_asyncio.fixture
async def sender(service, secrets):
    channel = SlackChannel(
        kind="slack",
        token="${SLACK_TOKEN}",
        signing_secret="${SLACK_TOKEN}",
        base_url=f"{service.url}/api/",
    )
    sender = SlackSender(channel, secrets)
    yield sender
    await sender.close()


@pytest.fixture
def make_update(make_notification):
    def make(lines=LINES, reply_to="C1:1.1", **changes):
        changes = {"status": "acknowledged", "holder": "Ada", "outlook": "Ada has it."} | changes
        made = make_notification(NotificationKind.UPDATE, reply_to=reply_to, **changes)
        return type(made).model_validate(made.model_dump() | {"lines": lines})

    return make


async def test_the_page_shows_what_is_and_its_thread_what_was(service, sender, make_update):
    """Two requests, whatever happened meanwhile; the reference stays the page's."""
    service.expect(UPDATE, TAKEN)
    service.expect(POST, says(ok=True, channel="C1", ts="1.2"))
    receipt = await sender.send(make_update(), Links())
    assert receipt.reference == "C1:1.1"
    update, thread = (each.json for each in service.requests)
    assert (update["channel"], update["ts"]) == ("C1", "1.1")
    assert update["blocks"][0]["text"]["text"] == "Acknowledged by Ada: channels"
    assert "*Who has it*\\nAda" in json.dumps(update["blocks"])
    assert update["text"].startswith("Acknowledged by Ada")
    assert (thread["channel"], thread["thread_ts"]) == ("C1", "1.1")
    assert "reply_broadcast" not in thread
    assert thread["text"] == "level 1 is paged; Ada has it"


async def test_what_is_over_looks_done(service, sender, make_update):
    """Whoever scrolls by sees that nothing is left to do."""
    service.expect(UPDATE, TAKEN)
    await sender.send(make_update(lines=(), status="resolved", outlook="Resolved by Ada."), Links())
    blocks = service.request.json["blocks"]
    assert blocks[0]["text"]["text"] == "✅ Resolved: channels"
    assert "*How it ended*\\nResolved by Ada." in json.dumps(blocks)
    assert "actions" not in {each["type"] for each in blocks}


async def test_without_lines_the_thread_is_left_alone(service, sender, make_update):
    """An edit tells nobody's telephone anything."""
    service.expect(UPDATE, TAKEN)
    await sender.send(make_update(lines=()), Links())
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "error", ["message_not_found", "cant_update_message", "edit_window_closed"]
)
@pytest.mark.parametrize("thread", [TAKEN, refused("thread_not_found")])
async def test_a_page_that_cannot_be_changed_is_no_failure(
    service, sender, make_update, error, thread
):
    """Somebody deleted it, or the workspace forbids edits; the thread is told if it is there."""
    service.expect(UPDATE, refused(error))
    service.expect(POST, thread)
    receipt = await sender.send(make_update(), Links())
    assert receipt.reference == "C1:1.1"
    assert service.requests[1].json["thread_ts"] == "1.1"


async def test_a_thread_that_must_wait_makes_the_update_wait(service, sender, make_update):
    """Both are done again: changing a message to what it is changes nothing."""
    service.expect(UPDATE, TAKEN)
    service.expect(POST, says(429, {"Retry-After": "7"}, ok=False, error="ratelimited"))
    with pytest.raises(DeliveryDeferred) as caught:
        await sender.send(make_update(), Links())
    assert caught.value.retry_after == timedelta(seconds=7)


async def test_a_refused_update_tells_the_thread_nothing(service, sender, make_update):
    """What has to be put right first is not half done."""
    service.expect(UPDATE, refused("token_revoked"))
    with pytest.raises(DeliveryRejected, match="token_revoked") as caught:
        await sender.send(make_update(), Links())
    assert caught.value.kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize("reference", [None, "a-message-of-twilio"])
async def test_an_update_needs_a_message(sender, make_update, reference):
    """Nothing is posted in its place: it would be a page more."""
    with pytest.raises(DeliveryRejected, match="no message in Slack"):
        await sender.send(make_update(reply_to=reference), Links())


@pytest.mark.parametrize("scopes", [{}, {"X-OAuth-Scopes": "commands,chat:write"}])
async def test_a_good_token_passes_the_check(service, sender, scopes):
    """Nobody is told anything by it."""
    service.expect(AUTH, says(200, scopes, ok=True, user_id="U1"))
    await sender.check()
    assert service.request.headers["Authorization"] == "Bearer xoxb-stand-in-token"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refused("invalid_auth"), r"refuses the channel's token: .*invalid_auth; put the app's"),
        (refused("something_new"), "refuses the channel's token: .*something_new"),
        (says(200, {"X-OAuth-Scopes": "commands"}, ok=True), "lacks the scope chat:write"),
    ],
)
async def test_a_token_that_cannot_post_fails_the_check(service, sender, answer, reason):
    """Somebody has to put it right, and hears how, before anybody has to be paged."""
    service.expect(AUTH, answer)
    with pytest.raises(DeliveryRejected, match=reason) as caught:
        await sender.check()
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_a_check_that_slack_does_not_answer_says_nothing_of_the_token(service, sender):
    """It is asked again later."""
    service.expect(AUTH, answers(503))
    with pytest.raises(DeliveryDeferred):
        await sender.check()

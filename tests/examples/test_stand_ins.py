"""The stand-ins refuse what their vendors refuse, and keep why: that is what they are for."""

from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest

from examples.stand_ins import mail
from examples.stand_ins.callbacks import Callbacks
from examples.stand_ins.mail import MailServer, says
from examples.stand_ins.pagerduty import PagerDutyStandIn
from examples.stand_ins.server import drops, too_many_requests, trouble
from examples.stand_ins.slack import SlackStandIn
from examples.stand_ins.slack_members import SlackMembers
from examples.stand_ins.slack_rules import Refused, check_message
from examples.stand_ins.twilio import TwilioStandIn
from examples.stand_ins.webhooks import WebhookReceiver

TOKEN = "xoxb-stand-in"
ACCOUNT = "AC" + "0" * 32
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def button(action_id="a", **changes):
    text = {"type": "plain_text", "text": "Do it"}
    return {"type": "button", "action_id": action_id, "text": text, "value": "1"} | changes


def actions(*elements):
    return {"type": "actions", "block_id": "b", "elements": list(elements)}


@pytest.mark.parametrize(
    "blocks",
    [
        [actions()],
        [actions(*(button(str(n)) for n in range(26)))],
        [actions(button(), button())],
        [actions(button()), actions(button())],
        [actions(button(style="green"))],
        [actions(button(value="x" * 2001))],
        [actions(button(text={"type": "plain_text", "text": "x" * 76}))],
        [actions(button(text={"type": "mrkdwn", "text": "x"}))],
        [actions({"type": "static_select", "action_id": "a", "options": []})],
        [{"type": "section"}],
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [{"type": "divider"}] * 51,
    ],
    ids=lambda blocks: str(blocks)[:60],
)
def test_slack_refuses_blocks_beyond_its_limits(blocks):
    with pytest.raises(Refused, match="invalid_blocks"):
        check_message({"channel": "#ops", "text": "it broke", "blocks": blocks})


def test_slack_takes_the_same_action_in_two_blocks():
    """An action's id is unique within its block alone."""
    text = {"type": "mrkdwn", "text": "another"}
    beside = {"type": "section", "text": text, "accessory": button()}
    blocks = [beside, beside, actions(button())]
    check_message({"channel": "#ops", "text": "it broke", "blocks": blocks})


async def slack_call(slack, method, **sent):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(headers=headers) as http:
        return (await http.post(f"{slack.base_url}{method}", json=sent)).json()


async def test_a_message_in_slack_is_edited_in_place():
    """Its identity stays; what is no message can't be edited."""
    async with SlackStandIn(TOKEN) as slack:
        posted = await slack_call(slack, "chat.postMessage", channel="#ops", text="one")
        there = {"channel": posted["channel"], "ts": posted["ts"]}
        assert (await slack_call(slack, "chat.update", text="two", **there))["ok"]
        assert [(each.text, each.edits) for each in slack.messages] == [("two", 1)]
        there["ts"] = "1.0"
        assert not (await slack_call(slack, "chat.update", text="three", **there))["ok"]
        assert slack.refusals == ["message_not_found"]


async def test_a_response_url_answers_one_member_alone():
    """Five times at the most, as Slack has it."""
    async with SlackStandIn(TOKEN) as slack, httpx.AsyncClient() as http:
        url = slack.response_url("U1", "C1")
        for _ in range(6):
            await http.post(url, json={"text": "no", "response_type": "ephemeral"})
        assert [(each.user, each.text) for each in slack.whispers] == [("U1", "no")] * 5
        assert slack.refusals == ["used_url"]


async def test_a_click_that_holdfast_refuses_is_a_refusal():
    """Slack would show whoever clicks an error."""
    async with SlackStandIn(TOKEN) as slack, SlackStandIn(TOKEN) as nobody:
        nobody.down = trouble(401)
        await slack_call(
            slack, "chat.postMessage", channel="#ops", text="x", blocks=[actions(button())]
        )
        members = SlackMembers(slack, Callbacks(nobody.url, nobody.url), "secret")
        await members.click(slack.messages[0], "a", user="U1")
        assert slack.refusals == ["the click on a: answered 401, not 200: upstream is not well"]
        with pytest.raises(LookupError, match="no b to click"):
            await members.click(slack.messages[0], "b", user="U1")


TEXT = {"To": "+15550100001", "From": "+15550100000", "Body": "it broke"}


@pytest.mark.parametrize(
    ("form", "token", "code"),
    [
        (TEXT, "wrong", 20003),
        (TEXT | {"To": "call me"}, "token", 21211),
        (TEXT | {"Body": "x" * 1601}, "token", 21617),
        (TEXT | {"StatusCallback": "http://127.0.0.1:8000/twilio/status"}, "token", 21609),
    ],
)
async def test_twilio_refuses_with_its_own_codes(form, token, code):
    async with TwilioStandIn(ACCOUNT, "token") as twilio, httpx.AsyncClient() as http:
        url = f"{twilio.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        answer = await http.post(url, data=form, auth=(ACCOUNT, token))
        assert answer.json()["code"] == code
        assert twilio.refusals
        assert not twilio.texts


async def test_pagerduty_refuses_an_event_without_its_fields():
    async with PagerDutyStandIn("k" * 32, "secret") as pagerduty, httpx.AsyncClient() as http:
        event = {"routing_key": "k" * 32, "event_action": "trigger", "payload": {"summary": "x"}}
        answer = await http.post(f"{pagerduty.url}/v2/enqueue", json=event)
        assert answer.status_code == 400
        assert "'payload.source' is missing or blank" in answer.json()["errors"]


async def test_a_webhook_with_a_wrong_signature_is_refused():
    async with WebhookReceiver(SECRET) as receiver, httpx.AsyncClient() as http:
        headers = {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
        answer = await http.post(f"{receiver.url}/x", json={}, headers=headers)
        assert answer.status_code == 401
        assert receiver.refusals
        assert not receiver.arrivals


async def send(server, *, password="right", **headers):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "h@example.org", "a@example.org", "it"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("broke")
    await aiosmtplib.send(
        message,
        hostname="127.0.0.1",
        port=server.port,
        username="me",
        password=password,
        start_tls=False,
        timeout=0.5,
    )


WHOLE = {"Date": "Thu, 01 Jan 2026 12:00:00 +0000", "Message_ID": "<1@example.org>"}


async def test_a_mail_server_takes_whole_mails_from_those_it_knows():
    async with MailServer("me", "right") as server:
        await send(server, **WHOLE)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await send(server, password="wrong", **WHOLE)
        with pytest.raises(aiosmtplib.SMTPDataError, match=r"missing: .*Date"):
            await send(server)
        assert [each.text for each in server.to("a@example.org")] == ["broke\n"]


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (says("451 4.3.0 later"), aiosmtplib.SMTPDataError),
        (mail.drops, aiosmtplib.SMTPServerDisconnected),
        (mail.hangs, aiosmtplib.SMTPReadTimeoutError),
    ],
    ids=["refuses", "drops", "hangs"],
)
async def test_a_mail_server_can_be_told_to_fail(problem, error):
    """Once; the next mail is taken."""
    async with MailServer("me", "right") as server:
        server.troubles.append(problem)
        with pytest.raises(error):
            await send(server, **WHOLE)
        await send(server, **WHOLE)
        assert len(server.mails) == 1


async def test_a_vendor_can_be_told_to_fail_once_or_until_further_notice():
    """In turn: 429 with Retry-After, then a lost connection; and 500 for as long as it is down."""
    async with SlackStandIn(TOKEN) as slack, httpx.AsyncClient() as http:
        slack.troubles.extend([too_many_requests(7), drops])
        assert (await http.post(slack.base_url)).headers["Retry-After"] == "7"
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post(slack.base_url)
        slack.down = trouble(500)
        assert [(await http.post(slack.base_url)).status_code for _ in range(2)] == [500, 500]
        slack.down = None
        assert (await http.post(slack.base_url)).json()["error"] == "not_authed"

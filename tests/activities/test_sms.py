import json
from base64 import b64encode
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import pytest_asyncio

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.sms import SmsSender
from activities.channels.sms_text import LIMIT, text
from config.secrets import Secrets
from holdfast.domain.channel import SmsChannel
from holdfast.domain.notification import FailureKind, NotificationKind
from holdfast.domain.severity import Severity
from holdfast.domain.throttle import BundledIncident
from holdfast.errors import ConfigurationError
from tests.activities.stand_in import answers, drops

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "token-of-the-account"
SENDER = "+15550001111"
ADA = "+15550002222"
SERVICE_SID = "MG0123456789abcdef0123456789abcdef"
INCIDENT = "01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"
MESSAGES = f"POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json"
FETCH = f"GET /2010-04-01/Accounts/{ACCOUNT}.json"
PUBLIC_URL = "https://holdfast.example"
LINKS = Links(incident_url=f"{PUBLIC_URL}/api/system/errors/{INCIDENT}")
CREATED = answers(201, json.dumps({"sid": "SM1", "status": "queued"}))


@pytest.fixture
def keys():
    return {"TWILIO_ACCOUNT": ACCOUNT, "TWILIO_TOKEN": TOKEN}


@pytest_asyncio.fixture
async def make_sender(service, keys):
    senders = []

    def make(*, public_url=PUBLIC_URL, **changes):
        given = {
            "kind": "sms",
            "account_sid": "${TWILIO_ACCOUNT}",
            "auth_token": "${TWILIO_TOKEN}",
            "sender": SENDER,
            "base_url": service.url,
        }
        channel = SmsChannel.model_validate(given | changes)
        senders.append(SmsSender(channel, Secrets(keys), public_url=public_url))
        return senders[-1]

    yield make
    for sender in senders:
        await sender.close()


@pytest.fixture
def send(make_sender, make_notification):
    async def send(kind=NotificationKind.PAGE, *, to=ADA, **changes):
        notification = make_notification(kind, to=to, incident_id=INCIDENT)
        return await make_sender(**changes).send(notification, LINKS), notification

    return send


def form(seen):
    return dict(parse_qsl(seen.body.decode(), strict_parsing=True))


def refused(status, code, message="no"):
    said = {"code": code, "message": message, "status": status, "more_info": "https://twilio"}
    return answers(status, json.dumps(said))


async def test_a_page_is_a_text_message(service, send):
    """Signed in as the account, to the contact's number; the message's name is the receipt."""
    service.expect(MESSAGES, CREATED)
    receipt, notification = await send()
    assert receipt.reference == "SM1"
    signed_in = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert service.request.headers["Authorization"] == f"Basic {signed_in}"
    assert service.request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    sent = form(service.request)
    report_to = urlsplit(sent.pop("StatusCallback"))
    assert sent == {
        "To": ADA,
        "From": SENDER,
        "Body": text(notification, LINKS),
        "SmartEncoded": "true",
    }
    assert f"{report_to.scheme}://{report_to.netloc}{report_to.path}" == (
        f"{PUBLIC_URL}/twilio/status"
    )
    assert parse_qs(report_to.query) == {
        "incident": [INCIDENT],
        "notification": [notification.id],
    }


async def test_a_messaging_service_may_send(service, send):
    """It picks the number itself."""
    service.expect(MESSAGES, CREATED)
    await send(sender=SERVICE_SID)
    sent = form(service.request)
    assert sent["MessagingServiceSid"] == SERVICE_SID
    assert "From" not in sent


@pytest.mark.parametrize("public_url", [None, "http://localhost:8000", "http://127.0.0.1:8000"])
async def test_without_a_public_address_nothing_is_reported(service, send, public_url):
    """Twilio refuses a message that it is to report to an address that it can't reach."""
    service.expect(MESSAGES, CREATED)
    await send(public_url=public_url)
    assert "StatusCallback" not in form(service.request)


async def test_the_channels_own_number_is_the_last_resort(service, make_sender, make_notification):
    """A target may be a channel and nothing more."""
    service.expect(MESSAGES, CREATED)
    await make_sender(to="+15550003333").send(make_notification(), LINKS)
    assert form(service.request)["To"] == "+15550003333"


async def test_without_a_number_nothing_is_sent(send):
    """Neither the target nor the channel has one."""
    with pytest.raises(DeliveryRejected, match="add to") as caught:
        await send(to=None)
    assert caught.value.kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize("code", [21211, 21614, 21408, 21610, 21999])
async def test_a_number_at_fault_is_rejected(service, send, code):
    """The next contact has its turn; with Twilio's own words."""
    service.expect(MESSAGES, refused(400, code, "The 'To' number is not valid"))
    with pytest.raises(DeliveryRejected, match=f"400 with error {code}: The 'To' number") as caught:
        await send()
    assert caught.value.kind is FailureKind.REJECTED


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 20003), (403, 20005), (404, 20404), (400, 21606), (400, 21212), (400, 21660)],
)
async def test_an_account_or_sender_at_fault_is_configuration(service, send, status, code):
    """Somebody has to put it right."""
    service.expect(MESSAGES, refused(status, code))
    with pytest.raises(DeliveryRejected, match=str(code)) as caught:
        await send()
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_an_address_that_leads_elsewhere_is_configuration(service, send):
    """A redirect is not followed: it would carry the token to somebody else."""
    service.expect(MESSAGES, answers(307, headers={"Location": f"{service.url}/elsewhere"}))
    with pytest.raises(DeliveryRejected, match="307") as caught:
        await send()
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_the_rate_limit_is_obeyed(service, send):
    """Twilio says when to come again."""
    said = json.dumps({"code": 20429, "message": "Too many requests"})
    service.expect(MESSAGES, answers(429, said, {"Retry-After": "30"}))
    with pytest.raises(DeliveryDeferred, match="20429") as caught:
        await send()
    assert caught.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize(
    "problem",
    [
        answers(500),
        answers(502, "<html>bad gateway</html>"),
        answers(503, '["away"]'),
        refused(400, 21611),
        answers(201, "{not json"),
        answers(201, "[]"),
        drops,
    ],
)
async def test_twilios_own_trouble_is_deferred(service, send, problem):
    """It passes; one request was made and no more."""
    service.expect(MESSAGES, problem)
    with pytest.raises(DeliveryDeferred, match="Twilio"):
        await send()


async def test_a_twilio_that_hangs_is_deferred(service, send):
    """The channel's timeout counts for the whole of it."""
    service.expect(MESSAGES, service.hangs)
    with pytest.raises(DeliveryDeferred, match=r"no answer within 0\.5 s"):
        await send(timeout="500ms")


async def test_a_twilio_that_is_away_is_deferred(send, closed_url):
    """The network comes back."""
    with pytest.raises(DeliveryDeferred, match="Connection refused"):
        await send(base_url=closed_url)


async def test_an_address_that_is_none_is_configuration(send):
    """It will not go better another time."""
    with pytest.raises(DeliveryRejected, match="base_url") as caught:
        await send(base_url="https://api.example:port")
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_a_missing_token_is_named(send):
    """Nothing is sent without one."""
    with pytest.raises(ConfigurationError, match="ABSENT"):
        await send(auth_token="${ABSENT}")


async def test_the_environment_does_not_say_where_twilio_is(service, send, monkeypatch):
    """The policy file does; the library would take a region of its own from the environment."""
    monkeypatch.setenv("TWILIO_REGION", "au1")
    service.expect(MESSAGES, CREATED)
    await send()


async def test_the_check_asks_for_the_account(service, make_sender):
    """That tells whether account and token are right, and sends nothing."""
    service.expect(FETCH, answers(200, json.dumps({"sid": ACCOUNT, "status": "active"})))
    await make_sender().check()


async def test_the_check_fails_for_an_account_that_is_suspended(service, make_sender):
    """It signs in as before, and sends nothing."""
    service.expect(FETCH, answers(200, json.dumps({"sid": ACCOUNT, "status": "suspended"})))
    with pytest.raises(DeliveryRejected, match="suspended") as caught:
        await make_sender().check()
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_the_check_fails_for_a_wrong_token(service, make_sender):
    """As a page would."""
    service.expect(FETCH, refused(401, 20003, "Authenticate"))
    with pytest.raises(DeliveryRejected, match="Authenticate") as caught:
        await make_sender().check()
    assert caught.value.kind is FailureKind.CONFIGURATION


def bundle(*ends):
    return tuple(
        BundledIncident(
            incident_id=f"01960c2e-7d3b-7c51-9a55-0b8f6f{end}",
            service="encoder",
            severity=Severity.HIGH,
            title="it is down",
        )
        for end in ends
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            NotificationKind.PAGE,
            (
                "CRITICAL channels: StreamLost: no data for 10 s. Reply ACK 3f2d11. "
                f"{LINKS.incident_url}"
            ),
        ),
        (
            NotificationKind.REMINDER,
            (
                "You have 3f2d11. channels: StreamLost: no data for 10 s. Reply RESOLVE 3f2d11 or "
                "UNACK 3f2d11. Ada has it."
            ),
        ),
        (
            NotificationKind.ACKNOWLEDGED,
            "Ada has 3f2d11. channels: StreamLost: no data for 10 s.",
        ),
        (
            NotificationKind.UNACKNOWLEDGED,
            (
                "Nobody has 3f2d11 any more. channels: StreamLost: no data for 10 s. "
                "Reply ACK 3f2d11. Ada has it."
            ),
        ),
        (
            NotificationKind.RESOLVED,
            "Resolved 3f2d11. channels: StreamLost: no data for 10 s. Ada has it.",
        ),
    ],
)
def test_each_kind_reads_as_a_sentence(make_notification, kind, expected):
    """What it is, what happened, and what to reply, in the telephones' own alphabet."""
    notification = make_notification(
        kind, incident_id=INCIDENT, holder="Ada", outlook="Ada has it."
    )
    message = text(notification, LINKS)
    assert message == expected
    assert message.isascii()


def test_an_update_is_no_text_message(make_notification):
    """What a telephone has stays as it is."""
    with pytest.raises(DeliveryRejected, match="up to date"):
        text(make_notification(NotificationKind.UPDATE), LINKS)


def test_a_page_says_for_what_else_it_speaks(make_notification):
    """How many and which, so that all can be acknowledged at once or one by one."""
    page = make_notification(incident_id=INCIDENT)
    few = page.model_copy(update={"bundled": bundle("4c1d2e", "4c1d2f")})
    assert "Reply ACK 3f2d11 or ACK ALL. 2 more: 4c1d2e, 4c1d2f." in text(few, LINKS)
    many = page.model_copy(update={"bundled": bundle(*(f"00000{each}" for each in range(7)))})
    assert "7 more: 000000, 000001, 000002, 000003, 000004 etc." in text(many, LINKS)


def test_the_longest_page_still_says_what_to_reply(make_notification):
    """The title gives way first to what it says besides, and never to the answer."""
    notification = make_notification(
        incident_id=INCIDENT,
        service="s" * 100,
        title="t" * 1000,
        unreached=("Ada was not reached: " + "x" * 200,),
    ).model_copy(update={"bundled": bundle(*(f"00000{each}" for each in range(9)))})
    message = text(notification, LINKS)
    assert len(message) <= LIMIT
    assert "Reply ACK 3f2d11 or ACK ALL. 9 more:" in message
    assert "ttt..." in message


def test_a_page_tells_whom_nobody_reached(make_notification):
    """The next level is told why it is their turn, if there is room."""
    notification = make_notification(unreached=("Ada was not reached.",))
    assert text(notification, Links()).endswith(" Ada was not reached.")


@pytest.mark.parametrize(
    ("act_url", "shown"),
    [("https://h.example/a/1", "https://h.example/a/1"), ("https://h.example/" + "a" * 100, None)],
)
def test_the_link_that_acts_is_preferred_while_it_is_short(make_notification, act_url, shown):
    """It needs no key; a long one would take the title's room."""
    links = LINKS.model_copy(update={"act_url": act_url})
    assert text(make_notification(), links).endswith(shown or str(LINKS.incident_url))


def test_a_title_is_one_line(make_notification):
    """Lines of a report are none of the message's."""
    message = text(make_notification(title="first\n\n second\t third."), Links())
    assert "channels: first second third. Reply" in message

from types import SimpleNamespace
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import httpx
import pytest
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from api.problems import MEDIA_TYPE, handle_problems
from api.routes import twilio
from api.twilio_inbox import TwilioInbox
from config.secrets import Secrets
from holdfast.domain.custody import Actor, Via
from holdfast.domain.incident_status import Resolution
from holdfast.domain.notification import DeliveryReport
from holdfast.domain.policy import Policy
from holdfast.errors import Unavailable
from tests.api.people_desk import INCIDENT, NOW, OTHER, PeopleDesk

PUBLIC_URL = "https://holdfast.example/behind"
TOKEN = "token-of-the-account"
ADA = "+15550002222"
STATUS = f"/twilio/status?incident={INCIDENT}&notification={INCIDENT}%3Apage%3A1%3A1"

POLICY = Policy.model_validate(
    {
        "people": {
            "ada": {"name": "Ada Lovelace", "contacts": [{"channel": "sms", "to": ADA}]},
        },
        "channels": {
            name: {
                "kind": "sms",
                "account_sid": "${ACCOUNT}",
                "auth_token": f"${{{token}}}",
                "sender": "+15550001111",
            }
            for name, token in (("forgotten", "ABSENT"), ("other", "OTHER"), ("sms", "TOKEN"))
        },
    }
)


class Inbox:
    """An API with Twilio's routes alone, and what they act on."""

    def __init__(self):
        self.desk = PeopleDesk()
        self.newest = INCIDENT
        self.away = False
        self.app = FastAPI()
        handle_problems(self.app)
        self.app.include_router(twilio.router)
        self.open()

    def open(self, public_url=PUBLIC_URL):
        inbox = TwilioInbox(
            policy=lambda: POLICY,
            secrets=Secrets({"OTHER": "another-token", "TOKEN": TOKEN}),
            public_url=public_url,
            desk=self.desk,
            book=self.desk.book,
            newest_for=self._newest_for,
        )
        self.app.state.services = SimpleNamespace(twilio=inbox)

    async def _newest_for(self, address):
        assert address == ADA
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        return self.newest

    async def post(self, path, form, *, signed_url=None, token=TOKEN, signed=None):
        """Posts a form as Twilio does: signed over the URL that Twilio knows, and every field."""
        url = signed_url or f"{PUBLIC_URL}{path}"
        signature = RequestValidator(token).compute_signature(url, signed or form)
        return await self.send(path, form, {"X-Twilio-Signature": signature})

    async def send(self, path, form, headers):
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://inside:8000") as client:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return await client.post(path, content=urlencode(form), headers=headers | kind)

    async def text(self, body, *, number=ADA, **more):
        return await self.post("/twilio/messages", {"From": number, "Body": body, **more})

    async def tell(self, status, **more):
        return await self.post(STATUS, {"MessageSid": "SM1", "MessageStatus": status, **more})


@pytest.fixture
def inbox():
    return Inbox()


def answered(response):
    """The message in a TwiML answer; None for an answer without one."""
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/xml")
    return ET.fromstring(response.text).findtext("Message")


async def test_a_text_message_acknowledges(inbox):
    """From the person whose number it is; the answer goes back as a text message."""
    response = await inbox.text("ACK 4c1d2e", OptIn="", Zażółć="ü & <>")
    assert answered(response) == "4c1d2e: you have it. channels: RtmpError: connection refused"
    by = Actor(name="Ada Lovelace", person="ada", via=Via.SMS)
    assert inbox.desk.deeds == [("acknowledge", OTHER, by, {})]


async def test_without_an_id_it_is_the_last_page(inbox):
    """What Ada was paged for last is what she means."""
    await inbox.text("ack")
    assert inbox.desk.deeds[0][1] == INCIDENT


async def test_the_last_page_may_be_unknown(inbox):
    """With PostgreSQL away an id is asked for."""
    inbox.away = True
    assert "which one?" in answered(await inbox.text("ack"))
    assert "you have it" in answered(await inbox.text(f"ack {OTHER}"))


async def test_an_unknown_number_is_told_that_nothing_was_done(inbox):
    """Politely, for it may be a person's new telephone."""
    response = await inbox.text("ACK", number="+15559999999")
    assert "nothing was done" in answered(response)
    assert inbox.desk.deeds == []


async def test_what_twilio_answers_itself_is_not_answered_twice(inbox):
    """It marks a STOP, START or HELP that it took for itself."""
    assert answered(await inbox.text("HELP", OptOutType="HELP")) is None


async def test_an_answer_is_what_a_message_holds(inbox):
    """Twilio refuses more than 1600 characters, and XML some of a title's."""
    inbox.desk.put(INCIDENT, title="\x00<&>")
    assert "\N{REPLACEMENT CHARACTER}<&>" in answered(await inbox.text("ack"))
    assert len(answered(await inbox.text("x" * 5000))) == 1600


@pytest.mark.parametrize("path", ["/twilio/messages", STATUS, "/twilio/status"])
async def test_what_twilio_did_not_sign_is_refused(inbox, path):
    """Before anything else is looked at, with a problem document."""
    form = {"From": ADA, "Body": "ack", "MessageStatus": "delivered"}
    for response in (
        await inbox.send(path, form, {}),
        await inbox.send(path, form, {"X-Twilio-Signature": "nonsense"}),
        await inbox.post(path, form, token="of-somebody-else"),
        await inbox.post(path, form, signed=form | {"Body": "list"}),
        await inbox.post(path, form, signed_url=f"https://elsewhere.example{path}"),
    ):
        assert response.status_code == 401
        assert response.headers["Content-Type"] == MEDIA_TYPE
        assert "HOLDFAST_PUBLIC_URL" in response.json()["detail"]
    assert inbox.desk.deeds == inbox.desk.reports == []


async def test_each_channels_token_is_good(inbox):
    """Several accounts may text to one address; one whose token is missing silences none."""
    form = {"From": ADA, "Body": "list"}
    response = await inbox.post("/twilio/messages", form, token="another-token")
    assert answered(response)


async def test_without_a_public_url_the_requests_own_is_signed(inbox):
    """Nothing stands between, then."""
    inbox.open(public_url=None)
    url = "http://inside:8000/twilio/messages"
    form = {"From": ADA, "Body": "list"}
    assert answered(await inbox.post("/twilio/messages", form, signed_url=url))


async def test_a_delivered_message_is_reported(inbox):
    """The incident learns that its page arrived."""
    response = await inbox.tell("delivered")
    assert (response.status_code, response.content) == (204, b"")
    report = DeliveryReport(notification_id=f"{INCIDENT}:page:1:1", delivered=True)
    assert inbox.desk.reports == [(INCIDENT, report)]


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (
            "undelivered",
            "30005",
            "Twilio says undelivered with error 30005: the number is unknown or out of service",
        ),
        ("failed", "39999", "Twilio says failed with error 39999"),
        ("failed", "", "Twilio says failed"),
    ],
)
async def test_a_message_that_did_not_arrive_says_why(inbox, status, code, reason):
    """So that the next contact has its turn."""
    assert (await inbox.tell(status, ErrorCode=code)).status_code == 204
    ((_, report),) = inbox.desk.reports
    assert not report.delivered
    assert report.reason == reason


@pytest.mark.parametrize("status", ["accepted", "queued", "sending", "sent", "read", ""])
async def test_what_says_nothing_of_the_arrival_changes_nothing(inbox, status):
    """It may also come after the word that the message arrived."""
    assert (await inbox.tell(status)).status_code == 204
    assert inbox.desk.reports == []


async def test_a_report_may_come_when_all_is_over(inbox):
    """That is nobody's fault."""
    over = inbox.desk.incidents[INCIDENT].resolved(Resolution.PERSON, by="Ada", at=NOW)
    inbox.desk.incidents[INCIDENT] = over
    assert (await inbox.tell("delivered")).status_code == 204


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (STATUS.replace(INCIDENT, OTHER.replace("0", "1")), 404),
        ("/twilio/status?incident=x'--&notification=1", 422),
        ("/twilio/status", 422),
    ],
)
async def test_a_report_on_nothing_is_a_problem(inbox, path, status):
    """Signed, but not about what was sent from here."""
    response = await inbox.post(path, {"MessageStatus": "delivered"})
    assert response.status_code == status
    assert response.headers["Content-Type"] == MEDIA_TYPE


async def test_with_temporal_away_twilio_is_told(inbox):
    """Its log shows that the report was lost."""
    inbox.desk.trouble = Unavailable("Temporal gave no answer in time")
    response = await inbox.tell("delivered")
    assert response.status_code == 503

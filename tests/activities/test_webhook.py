from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.webhook import WebhookSender
from activities.outbound import retry_after
from holdfast.domain.channel import WebhookChannel
from holdfast.domain.notification import FailureKind, NotificationKind, Receipt
from holdfast.domain.throttle import BundledIncident
from holdfast.errors import ConfigurationError
from tests.activities.stand_in import answers, drops

LINKS = Links(incident_url="https://holdfast.example/api/system/errors/1")
BOTH = ("${SIGNING}", "${PLAIN_SIGNING}")


@pytest.fixture
def send(http, secrets, make_notification):
    async def send(url, *, references=(), notification=None, **channel):
        sender = WebhookSender(
            WebhookChannel(kind="webhook", url=url, secrets=references, **channel), secrets, http
        )
        return await sender.send(notification or make_notification(), LINKS)

    return send


@pytest.mark.parametrize("kind", NotificationKind)
async def test_a_notification_is_posted_as_json(send, service, make_notification, kind):
    """The receiver gets the incident's headline, the place on the ladder and the links."""
    service.expect("POST /hook", answers(204))
    notification = make_notification(kind)
    assert await send(f"{service.url}/hook", notification=notification) == Receipt()
    sent = service.request.json
    assert sent["id"] == service.request.headers["webhook-id"] == notification.id
    assert sent["type"] == f"incident.{kind.value}"
    assert datetime.fromisoformat(sent["timestamp"]).tzinfo is not None
    data = sent["data"]
    assert (data["service"], data["severity"], data["report_count"]) == ("channels", "critical", 42)
    assert (data["level"], data["round"]) == (1, 1)
    assert data["links"]["incident_url"] == LINKS.incident_url
    assert service.request.headers["Content-Type"] == "application/json"


async def test_a_page_tells_what_its_incident_has_come_to(send, service, make_notification):
    """Who has it, whom an earlier level could not reach, and the incidents that it speaks for."""
    service.expect("POST /hook", answers())
    shop = BundledIncident(incident_id="incident-2", service="shop", severity="low", title="Boom")
    notification = make_notification(holder="Ada", unreached=("Grace was not reached",))
    notification = notification.model_copy(update={"bundled": (shop,)})
    await send(f"{service.url}/hook", notification=notification)
    data = service.request.json["data"]
    assert (data["holder"], data["unreached"]) == ("Ada", ["Grace was not reached"])
    assert data["bundled"] == [shop.model_dump(mode="json")]


async def test_each_of_the_secrets_signs(send, service):
    """While a key is being changed a receiver knows the old one or the new one."""
    service.expect("POST /hook", answers())
    await send(f"{service.url}/hook", references=BOTH)
    request = service.request
    for key in ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a plain secret, ünicode".encode()):
        Webhook(key).verify(request.body, dict(request.headers))
    assert len(request.headers["webhook-signature"].split(" ")) == 2


async def test_without_secrets_nothing_is_signed(send, service):
    """The id is sent all the same: a receiver tells repeats by it."""
    service.expect("POST /hook", answers())
    await send(f"{service.url}/hook")
    assert "webhook-signature" not in service.request.headers


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_what_may_pass_is_deferred(send, service, status):
    """Temporal tries it again."""
    service.expect("POST /hook", answers(status, "busy", {"Retry-After": "7"}))
    with pytest.raises(DeliveryDeferred, match=f"answered {status}: busy") as caught:
        await send(f"{service.url}/hook")
    assert caught.value.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 410, 422])
async def test_what_will_not_pass_is_rejected(send, service, status):
    """410 says that the receiver is gone for good; a redirect is never followed."""
    service.expect("POST /hook", answers(status, headers={"Location": "/elsewhere"}))
    with pytest.raises(DeliveryRejected, match=f"answered {status}") as caught:
        await send(f"{service.url}/hook")
    assert caught.value.kind is FailureKind.REJECTED


async def test_a_receiver_that_hangs_is_deferred(send, service):
    """The channel's timeout is for the whole exchange."""
    service.expect("POST /hook", service.hangs)
    with pytest.raises(DeliveryDeferred, match=r"no answer within 0\.5 s"):
        await send(f"{service.url}/hook", timeout=timedelta(milliseconds=500))


async def test_a_dropped_connection_is_deferred(send, service):
    """The receiver may have taken it; it tells the repeat by its id."""
    service.expect("POST /hook", drops)
    with pytest.raises(DeliveryDeferred):
        await send(f"{service.url}/hook")


async def test_a_refused_connection_is_deferred(send, closed_url):
    """A receiver that is away comes back."""
    with pytest.raises(DeliveryDeferred, match="Connection refused"):
        await send(closed_url)


async def test_an_unusable_url_is_a_configuration_failure(send):
    """No time heals it."""
    with pytest.raises(DeliveryRejected) as caught:
        await send("http://host:notaport/")
    assert caught.value.kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize("value", ["", "whsec_", "whsec_%%%"])
async def test_a_secret_that_cannot_sign_is_named(send, service, secrets, value):
    """An unsigned or wrongly signed message would be refused without a word."""
    secrets.environment["SIGNING"] = value
    with pytest.raises(ConfigurationError, match="SIGNING"):
        await send(f"{service.url}/hook", references=BOTH)


@pytest.fixture
def check(http, secrets):
    async def check(url, *, references=()):
        channel = WebhookChannel(kind="webhook", url=url, secrets=references)
        await WebhookSender(channel, secrets, http).check()

    return check


@pytest.mark.parametrize("status", [204, 401, 404, 405, 501])
async def test_a_check_asks_whether_anybody_answers(check, service, status):
    """A receiver that takes POST alone works; it is told nothing."""
    service.expect("HEAD /hook", answers(status))
    await check(f"{service.url}/hook", references=BOTH)
    assert service.request.body == b""


async def test_a_check_says_that_a_receiver_is_down(check, service, closed_url):
    """It may answer later."""
    service.expect("HEAD /hook", answers(503))
    with pytest.raises(DeliveryDeferred, match="answered 503"):
        await check(f"{service.url}/hook")
    with pytest.raises(DeliveryDeferred, match="Connection refused"):
        await check(closed_url)


async def test_a_check_names_a_secret_that_cannot_sign(check, service, secrets):
    """No page would ever go out."""
    secrets.environment["SIGNING"] = "whsec_%%%"
    with pytest.raises(ConfigurationError, match="SIGNING"):
        await check(f"{service.url}/hook", references=BOTH)


NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", timedelta(minutes=2)),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), timedelta(seconds=90)),
        ("Sun, 01 Mar 2026 03:00:30 -0000", timedelta(seconds=30)),
        ("86400", timedelta(hours=1)),
        ("9" * 400, timedelta(hours=1)),
        (format_datetime(NOW + timedelta(days=9000), usegmt=True), timedelta(hours=1)),
        (format_datetime(NOW - timedelta(seconds=5), usegmt=True), None),
        ("0", None),
        ("-3", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, expected):
    """RFC 9110, 10.2.3; what makes no sense asks for nothing."""
    assert retry_after(value, now=NOW) == expected

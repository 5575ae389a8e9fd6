import logging
from datetime import timedelta
from io import StringIO

import pytest
import pytest_asyncio

from activities.channels.apprise_urls import AppriseSender
from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from config.secrets import Secrets
from holdfast.domain.channel import AppriseChannel
from holdfast.domain.notification import FailureKind, NotificationKind, Receipt
from holdfast.errors import ConfigurationError
from tests.activities.stand_in import Service, answers, drops

LINKS = Links(act_url="https://holdfast.example/act/token")
TOKEN = "token-of-the-room"

# Apprise loads an old module of the standard library with the services that it knows.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest_asyncio.fixture
async def other():
    """A second service: which of two is told first, nobody knows."""
    other = Service()
    await other.start()
    yield other
    await other.stop()
    other.verify()


@pytest.fixture
def urls(service, other):
    """What the references lead to: a room in each of the services."""
    bases = {"ROOM": service.url, "OTHER_ROOM": other.url}
    return {name: f"{url.replace('http:', 'json:')}/{TOKEN}" for name, url in bases.items()}


@pytest.fixture
def make_sender(urls):
    def make(*references, **changes):
        channel = {"kind": "apprise", "urls": references or ("${ROOM}",)} | changes
        return AppriseSender(AppriseChannel.model_validate(channel), Secrets(urls))

    return make


@pytest.fixture
def log():
    """What the process writes; pytest's own would take in what goes no further too."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


ROOM = f"POST /{TOKEN}"
BOTH = ("${ROOM}", "${OTHER_ROOM}")


async def test_a_page_has_a_title_and_a_text(make_sender, make_notification, service):
    """What each service makes of them is Apprise's part."""
    service.expect(ROOM, answers())
    assert await make_sender().send(make_notification(), LINKS) == Receipt()
    sent = service.request.json
    assert sent["title"] == "[CRITICAL] channels: StreamLost: no data for 10 s"
    for part in ("Nobody has it yet.", "restart: failed", LINKS.act_url):
        assert part in sent["message"]


@pytest.mark.parametrize(
    ("kind", "severity", "expected"),
    [
        (NotificationKind.PAGE, "critical", "failure"),
        (NotificationKind.PAGE, "high", "failure"),
        (NotificationKind.PAGE, "medium", "warning"),
        (NotificationKind.REMINDER, "low", "info"),
        (NotificationKind.ACKNOWLEDGED, "critical", "info"),
        (NotificationKind.UNACKNOWLEDGED, "critical", "failure"),
        (NotificationKind.RESOLVED, "critical", "success"),
    ],
)
async def test_the_type_follows_the_severity(
    make_sender, make_notification, service, *, kind, severity, expected
):
    """Services show it by a colour or a picture."""
    service.expect(ROOM, answers())
    await make_sender().send(make_notification(kind, severity=severity), LINKS)
    assert service.request.json["type"] == expected


async def test_an_update_is_rejected(make_sender, make_notification):
    """What is in a room stays as it was sent."""
    with pytest.raises(DeliveryRejected):
        await make_sender().send(make_notification(NotificationKind.UPDATE), LINKS)


@pytest.mark.parametrize("answer", [answers(500), answers(403), drops])
async def test_a_failure_is_deferred(make_sender, make_notification, service, answer):
    """Whether it is for good, Apprise does not say."""
    service.expect(ROOM, answer)
    with pytest.raises(DeliveryDeferred, match=r"URL 1: .*JSON"):
        await make_sender().send(make_notification(), LINKS)


async def test_a_service_that_hangs_is_deferred(make_sender, make_notification, service):
    """The channel's timeout bounds it, not Apprise's own."""
    service.expect(ROOM, service.hangs)
    sender = make_sender(timeout=timedelta(seconds=0.5))
    with pytest.raises(DeliveryDeferred, match=r"URL 1: no answer within 0\.5 s"):
        await sender.send(make_notification(), LINKS)


async def test_a_retry_goes_to_those_that_did_not_take_it(
    make_sender, make_notification, service, other
):
    """The others know already; of the next notification, they don't."""
    sender, notification = make_sender(*BOTH), make_notification()
    service.expect(ROOM, answers(), answers())
    other.expect(ROOM, answers(503))
    with pytest.raises(DeliveryDeferred, match=r"^Apprise: URL 2: .*503"):
        await sender.send(notification, LINKS)
    other.expect(ROOM, answers())
    assert await sender.send(notification, LINKS) == Receipt()
    other.expect(ROOM, answers())
    assert await sender.send(make_notification(), LINKS) == Receipt()


@pytest.mark.parametrize("url", ["nonsense://host/{}", "tgram://{}", "{}", "json://"])
async def test_a_url_that_is_none_is_a_configuration_failure(
    make_sender, make_notification, urls, url, log
):
    """It is named by its place and reference: it holds tokens, which go nowhere."""
    urls["OTHER_ROOM"] = url.format(TOKEN)
    sender = make_sender(*BOTH)
    for trying in (sender.check(), sender.send(make_notification(), LINKS)):
        with pytest.raises(DeliveryRejected, match=r"URL 2, \$\{OTHER_ROOM\}") as caught:
            await trying
        assert caught.value.kind is FailureKind.CONFIGURATION
        assert TOKEN not in str(caught.value)
    assert TOKEN not in log.getvalue()


async def test_what_went_wrong_is_told_without_tokens(make_sender, make_notification, urls, log):
    """Apprise may name the host, and with some services that is a token."""
    urls["ROOM"] = f"json://{TOKEN}.invalid/{TOKEN}"
    with pytest.raises(DeliveryDeferred, match=r"URL 1: A Connection error.*\[secret\]") as caught:
        await make_sender().send(make_notification(), LINKS)
    assert TOKEN not in str(caught.value)
    assert TOKEN not in log.getvalue()


async def test_a_missing_url_is_named(make_sender, make_notification, urls):
    """Nothing is sent to the others: somebody has to put the policy file right."""
    del urls["OTHER_ROOM"]
    with pytest.raises(ConfigurationError, match="OTHER_ROOM"):
        await make_sender(*BOTH).send(make_notification(), LINKS)


async def test_a_check_tells_nobody_anything(make_sender):
    """It reads the URLs."""
    await make_sender(*BOTH).check()

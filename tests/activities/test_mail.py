from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.mail import MailSender
from config.secrets import Secrets
from holdfast.domain.channel import EmailChannel
from holdfast.domain.notification import FailureKind
from holdfast.errors import ConfigurationError
from tests.activities.mail_server import HOST, PASSWORD, USER, MailServer, make_certificate

LINKS = Links(act_url="https://holdfast.example/act/token")
OPS = "ops@example.com"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """One that this server's clients have to be given to trust."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), f"IP:{HOST}")


@pytest.fixture
def secrets():
    return Secrets({"MAIL_USER": USER, "MAIL_PASSWORD": PASSWORD})


@pytest_asyncio.fixture
async def server():
    async with MailServer() as server:
        yield server


@pytest.fixture
def make_sender(secrets):
    def make(server, **changes):
        given = {
            "kind": "email",
            "host": HOST,
            "port": server.port,
            "security": "none",
            "sender": "Holdfast <holdfast@example.com>",
            "to": "ops@example.com",
        }
        return MailSender(EmailChannel.model_validate(given | changes), secrets)

    return make


@pytest.fixture
def send(make_sender, make_notification):
    async def send(server, notification=None, **changes):
        sender = make_sender(server, **changes)
        return await sender.send(notification or make_notification(), LINKS)

    return send


SIGNING_IN = {"username": "${MAIL_USER}", "password": "${MAIL_PASSWORD}"}


async def test_a_page_arrives_in_text_and_in_html(server, send, make_notification):
    """The reference names the email that the server took."""
    receipt = await send(server, make_notification())
    mail = server.mail()
    assert receipt.reference == mail["Message-ID"]
    assert server.mails[0].mail_from == "holdfast@example.com"
    assert server.mails[0].rcpt_tos == [OPS]
    for kind in ("plain", "html"):
        assert LINKS.act_url in mail.get_body((kind,)).get_content()
    assert datetime.now(UTC) - parsedate_to_datetime(mail["Date"]) < timedelta(minutes=1)


async def test_several_addresses_get_one_email(server, send, make_notification):
    """Separated by commas, with or without names."""
    await send(server, make_notification(to="Ada <ada@example.com>, grace@example.com"))
    assert server.mails[0].rcpt_tos == ["ada@example.com", "grace@example.com"]
    assert server.mail()["To"] == "Ada <ada@example.com>, grace@example.com"
    assert server.mails[0].mail_from == "holdfast@example.com"


@pytest.mark.parametrize("to", ["nobody", "ada@", "@example.com", ","])
async def test_an_address_that_is_none_is_a_configuration_failure(
    server, send, make_notification, to
):
    """No time heals it; it is named."""
    with pytest.raises(DeliveryRejected, match="expected email addresses") as caught:
        await send(server, make_notification(to=to))
    assert caught.value.kind is FailureKind.CONFIGURATION
    assert server.commands == []


async def test_a_line_break_in_an_address_adds_no_header(server, send, make_notification):
    """A list of addresses may be on several lines; what it holds are addresses."""
    await send(server, make_notification(to="ada@example.com,\r\nBcc: grace@example.com"))
    assert server.mail()["Bcc"] is None
    assert server.mail()["To"] == "ada@example.com, grace@example.com"


async def test_without_an_address_nothing_is_sent(server, send):
    """Neither the target nor the channel says whom to reach."""
    with pytest.raises(DeliveryRejected, match="add to") as caught:
        await send(server, to=None)
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_the_sender_signs_in_over_starttls(certificate, send):
    """The certificate is checked with the channel's own file."""
    async with MailServer(tls=certificate.context, signs_in=True) as server:
        await send(server, security="starttls", ca_file=certificate.certificate, **SIGNING_IN)
    assert server.signed_in == [(USER.encode(), PASSWORD.encode())]
    assert len(server.mails) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_the_sender_signs_in_over_tls(certificate, send):
    """From the connection's first byte."""
    async with MailServer(
        tls=certificate.context, tls_from_the_start=True, signs_in=True
    ) as server:
        await send(server, security="tls", ca_file=certificate.certificate, **SIGNING_IN)
    assert len(server.mails) == 1


async def test_nothing_is_sent_in_the_clear_when_starttls_is_wanted(server, send, certificate):
    """A server, or who sits before it, that offers none is never trusted with the rest."""
    with pytest.raises(DeliveryRejected, match="STARTTLS") as caught:
        await send(server, security="starttls", ca_file=certificate.certificate)
    assert caught.value.kind is FailureKind.CONFIGURATION
    assert server.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_is_not_trusted_is_a_configuration_failure(
    certificate, send, security
):
    """The system's authorities do not know it."""
    async with MailServer(tls=certificate.context, tls_from_the_start=security == "tls") as server:
        with pytest.raises(DeliveryRejected, match="not trusted: self-signed") as caught:
            await send(server, security=security)
    assert caught.value.kind is FailureKind.CONFIGURATION
    assert server.mails == []


async def test_a_certificate_of_another_host_is_a_configuration_failure(tmp_path, send):
    """Trusted, but not this server's."""
    other = make_certificate(tmp_path, "DNS:other.example")
    async with MailServer(tls=other.context) as server:
        with pytest.raises(DeliveryRejected, match="mismatch") as caught:
            await send(server, security="starttls", ca_file=other.certificate)
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_tls_to_a_port_that_wants_starttls_says_so(server, send, certificate):
    """The commonest mistake there is."""
    with pytest.raises(DeliveryRejected, match="security: starttls") as caught:
        await send(server, security="tls", ca_file=certificate.certificate)
    assert caught.value.kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_ca_file_that_cannot_be_used_is_named(server, send, tmp_path, content):
    """It is missing, or holds no certificate."""
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        await send(server, security="starttls", ca_file=str(path))


async def test_a_wrong_password_is_a_configuration_failure(certificate, send, secrets):
    """It is asked for each time, so that a new one needs no restart."""
    secrets.environment["MAIL_PASSWORD"] = "of yesterday"
    starttls = {"security": "starttls", "ca_file": certificate.certificate} | SIGNING_IN
    async with MailServer(tls=certificate.context, signs_in=True) as server:
        with pytest.raises(DeliveryRejected, match="answered 535") as caught:
            await send(server, **starttls)
        assert caught.value.kind is FailureKind.CONFIGURATION
        secrets.environment["MAIL_PASSWORD"] = PASSWORD
        assert await send(server, **starttls)


async def test_a_missing_password_is_named(server, send, secrets):
    """Nothing is sent without one."""
    del secrets.environment["MAIL_PASSWORD"]
    with pytest.raises(ConfigurationError, match="MAIL_PASSWORD"):
        await send(server, **SIGNING_IN)


async def test_a_server_that_wants_a_user_is_a_configuration_failure(send):
    """The channel has none."""
    async with MailServer(signs_in=True) as server:
        with pytest.raises(DeliveryRejected, match="answered 530") as caught:
            await send(server)
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_a_server_that_takes_no_user_is_a_configuration_failure(server, send):
    """The password is not sent to it."""
    with pytest.raises(DeliveryRejected, match="AUTH") as caught:
        await send(server, **SIGNING_IN)
    assert caught.value.kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize(
    "trouble",
    [
        {"recipient_answers": {OPS: "450 4.2.0 greylisted"}},
        {"sender_answer": "451 4.3.0 try again later"},
        {"data_answer": "452 4.3.1 the disk is full"},
        {"data_answer": "421 4.3.2 going down"},
    ],
)
async def test_what_may_pass_is_deferred(send, trouble):
    """Temporal tries it again."""
    async with MailServer(**trouble) as server:
        with pytest.raises(DeliveryDeferred, match="answered 4"):
            await send(server)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({"recipient_answers": {OPS: "550 5.1.1 no such user"}}, FailureKind.REJECTED),
        ({"data_answer": "554 5.7.1 looks like spam"}, FailureKind.REJECTED),
        ({"sender_answer": "550 5.7.1 not your address"}, FailureKind.CONFIGURATION),
        ({"recipient_answers": {OPS: "530 5.7.0 sign in"}}, FailureKind.CONFIGURATION),
    ],
)
async def test_what_will_not_pass_is_rejected(send, trouble, kind):
    """With the server's own words, and whose fault it is."""
    async with MailServer(**trouble) as server:
        with pytest.raises(DeliveryRejected, match=r"answered 5\d\d.*: 5\.\d\.\d ") as caught:
            await send(server)
    assert caught.value.kind is kind


TWO = "ada@example.com, grace@example.com"


async def test_one_recipient_refused_does_not_keep_it_from_the_others(
    server, send, make_notification
):
    """It went through; the log tells who was refused."""
    server.recipient_answers["ada@example.com"] = "550 5.1.1 no such user"
    with capture_logs() as logs:
        assert await send(server, make_notification(to=TWO))
    assert server.mails[0].rcpt_tos == ["grace@example.com"]
    (line,) = logs
    assert (line["refused"], line["why"]) == ("ada@example.com", "550 5.1.1 no such user")


@pytest.mark.parametrize(
    ("grace", "expected"),
    [("550 5.1.1 no", DeliveryRejected), ("450 4.2.0 greylisted", DeliveryDeferred)],
)
async def test_all_recipients_refused_is_final_when_each_is(
    server, send, make_notification, grace, expected
):
    """One who was refused for now only may get it later."""
    server.recipient_answers |= {"ada@example.com": "550 5.1.1 no", "grace@example.com": grace}
    with pytest.raises(expected):
        await send(server, make_notification(to=TWO))


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_hangs_is_deferred(server, send, command):
    """The channel's timeout is for the whole exchange."""
    server.hangs_at = command
    with pytest.raises(DeliveryDeferred, match=r"no answer within 0\.5 s"):
        await send(server, timeout=timedelta(seconds=0.5))


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
async def test_a_dropped_connection_is_deferred(server, send, command):
    """The server may have taken it; the Message-ID of the retry is the same."""
    server.drops_at = command
    with pytest.raises(DeliveryDeferred, match="could not be reached"):
        await send(server)


async def test_a_refused_connection_is_deferred(send, closed_url):
    """A server that is away comes back."""
    nobody = MailServer(port=int(closed_url.rpartition(":")[2]))
    with pytest.raises(DeliveryDeferred, match="Connection refused"):
        await send(nobody)


async def test_what_was_taken_stays_so_without_a_goodbye(server, send):
    """A second email because the first one's connection ended badly would be one too many."""
    server.drops_at = "QUIT"
    assert await send(server)


async def test_a_check_signs_in_and_sends_nothing(certificate, make_sender):
    """It finds out what sending would, and nobody is told anything."""
    starttls = {"security": "starttls", "ca_file": certificate.certificate} | SIGNING_IN
    async with MailServer(tls=certificate.context, signs_in=True) as server:
        await make_sender(server, **starttls).check()
    assert server.commands == ["NOOP", "QUIT"]
    assert len(server.signed_in) == 1


async def test_a_check_says_what_is_wrong(certificate, make_sender, secrets):
    """As sending would."""
    secrets.environment["MAIL_PASSWORD"] = "of yesterday"
    starttls = {"security": "starttls", "ca_file": certificate.certificate} | SIGNING_IN
    async with MailServer(tls=certificate.context, signs_in=True) as server:
        with pytest.raises(DeliveryRejected, match="answered 535"):
            await make_sender(server, **starttls).check()

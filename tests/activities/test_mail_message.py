from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.utils import parsedate_to_datetime

import pytest

from activities.channels import mail_message
from activities.channels.channel import DeliveryRejected, Links
from holdfast.domain.notification import NotificationKind
from holdfast.domain.throttle import BundledIncident

NOW = datetime(2026, 3, 1, 3, 15, tzinfo=UTC)
LINKS = Links(
    incident_url="https://holdfast.example/api/system/errors/1?a=1&b=2",
    temporal_url="https://temporal.example/namespaces/default/workflows/incident%3Achannels",
    act_url="https://holdfast.example/act/token",
)
EVIL = "Boom\r\nBcc: victim@example.org\n\n<img src=x onerror=alert(1)>"
SENT = [kind for kind in NotificationKind if kind is not NotificationKind.UPDATE]


def mail_of(notification, *, domain="example.com"):
    """The email as its reader's program takes it apart."""
    made = mail_message.message(
        notification,
        LINKS,
        sender=Address("Holdfast", "holdfast", domain),
        recipients=(Address("", "ops", "example.com"),),
        at=NOW,
    )
    return message_from_bytes(bytes(made), policy=policy.default)


def test_the_headers_say_what_it_is_about(make_notification):
    """For people, for their filters, and for whoever answers mail by itself."""
    notification = make_notification()
    mail = mail_of(notification)
    assert (mail["From"], mail["To"]) == ("Holdfast <holdfast@example.com>", "ops@example.com")
    assert mail["Subject"] == "[CRITICAL] channels: StreamLost: no data for 10 s"
    assert parsedate_to_datetime(mail["Date"]) == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Holdfast-Incident"] == "incident-1"
    assert mail["X-Holdfast-Notification"] == notification.id


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_page_says_all_there_is_in_text_and_in_html(make_notification, kind):
    """Some read one, some the other; both can act from it."""
    mail = mail_of(make_notification(unreached=("Ada could not be reached: refused",)))
    shown = mail.get_body((kind,)).get_content()
    for part in ("StreamLost", "stream_failure", "42", "2026-03-01 03:14:15 UTC"):
        assert part in shown
    for part in ("Nobody has it yet.", "Level 2 is paged", "restart: failed", "Ada could not"):
        assert part in shown
    for part in ("Acknowledge or act", LINKS.act_url, LINKS.temporal_url):
        assert part in shown


def test_a_retry_carries_the_same_message_id(make_notification):
    """Mail systems tell a repeat by it."""
    notification = make_notification()
    first, again, other = map(mail_of, (notification, notification, make_notification()))
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]


def test_all_emails_of_an_incident_make_one_thread(make_notification):
    """Also of different levels, and for whoever got only some of them."""
    mails = [mail_of(make_notification(kind)) for kind in SENT]
    other = mail_of(make_notification(incident_id="incident-2"))
    (root,) = {mail["References"] for mail in mails}
    assert {mail["In-Reply-To"] for mail in mails} == {root}
    assert other["References"] != root
    assert {mail["Subject"].removeprefix("Re: ") for mail in mails} == {mails[0]["Subject"]}
    assert [mail["Subject"].startswith("Re: ") for mail in mails] == [False, *[True] * 4]


def test_a_domain_in_other_letters_names_the_message_in_ascii(make_notification):
    """Some servers refuse a Message-ID with others."""
    mail = mail_of(make_notification(), domain="bücher.example")
    assert mail["Message-ID"].endswith("@xn--bcher-kva.example>")


@pytest.mark.parametrize(
    ("kind", "holder", "said"),
    [
        (NotificationKind.PAGE, None, "Nobody has it yet. Ada has it."),
        (NotificationKind.PAGE, "Ada", "Ada has it."),
        (NotificationKind.REMINDER, "Ada", "You have it: is it still in hand? Ada has it."),
        (NotificationKind.ACKNOWLEDGED, "Ada", "Ada has it."),
        (NotificationKind.UNACKNOWLEDGED, None, "Nobody has it any more. Ada has it."),
        (NotificationKind.RESOLVED, None, "It is over. Ada has it."),
    ],
)
def test_each_kind_says_who_has_it(make_notification, kind, holder, said):
    """That is what its reader wants to know first."""
    notification = make_notification(kind, holder=holder, outlook="Ada has it.")
    shown = mail_message.text(notification, LINKS).split("\n\n")[1]
    assert shown == said
    offers = kind is not NotificationKind.RESOLVED
    assert (LINKS.act_url in mail_message.text(notification, LINKS)) is offers
    assert (LINKS.act_url in mail_message.html(notification, LINKS)) is offers


def test_an_update_is_rejected(make_notification):
    """An email stays as it was sent."""
    with pytest.raises(DeliveryRejected, match="brought up to date"):
        mail_of(make_notification(NotificationKind.UPDATE))


@pytest.mark.parametrize(("count", "named"), [(1, 1), (3, 3), (60, 50)])
def test_a_page_tells_which_incidents_it_speaks_for(make_notification, count, named):
    """All of them are counted, and so many named that it can still be read."""
    bundled = tuple(
        BundledIncident(incident_id=f"i-{n}", service="shop", severity="low", title=f"no {n}")
        for n in range(1, count + 1)
    )
    notification = make_notification().model_copy(update={"bundled": bundled})
    for shown in (
        mail_message.text(notification, LINKS),
        mail_message.html(notification, LINKS),
    ):
        plural = "s" if count > 1 else ""
        assert f"above does not act on {'them' if plural else 'it'}" in shown
        assert f"speaks for {count} more incident{plural}" in shown
        assert shown.count("(i-") == named
        assert (f"and {count - named} more" in shown) is (named < count)


def test_without_links_none_are_shown(make_notification):
    """Nobody has said where people reach the parts of the system."""
    notification = make_notification()
    assert "http" not in mail_message.text(notification, Links())
    assert "href" not in mail_message.html(notification, Links())


def test_no_report_adds_a_header_or_markup(make_notification):
    """Whatever its title, its incident's id or its service holds."""
    notification = make_notification(title=EVIL, reason=EVIL, incident_id="a\nBcc: b@example.org")
    mail = mail_of(notification.model_copy(update={"id": "x\r\nBcc: victim@example.org"}))
    assert mail["Bcc"] is None
    assert "Boom Bcc: victim@example.org" in mail["Subject"]
    html = mail.get_body(("html",)).get_content()
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html


def test_the_html_loads_nothing(make_notification):
    """Who opens it tells nobody, and it looks the same without the network."""
    html = mail_message.html(make_notification(), LINKS)
    assert not any(part in html for part in ("<img", "<link", "<script", "src=", "url("))

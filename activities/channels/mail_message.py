"""Owns how an incident reads in an email, in plain text and in HTML, and what threads its emails.

Whatever a report may have put in is one line in a header and escaped in HTML, so that no report can
add a header, a recipient or markup.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import Any, Final, assert_never

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from activities.channels.channel import DeliveryRejected, Links
from activities.excerpt import in_a_sentence, legible
from holdfast.domain.notification import FailureKind, Headline, Notification, NotificationKind
from holdfast.domain.severity import Severity

# So many incidents are named in one message; of the others it says how many they are.
_NAMED: Final = 50

# 128 bits, as many as a UUID has.
_DIGITS: Final = 32

_COLOURS: Final[Mapping[Severity, str]] = {
    # Each with white text on it has a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
    Severity.LOW: "#57606a",
    Severity.MEDIUM: "#8a5a00",
    Severity.HIGH: "#bc4c00",
    Severity.CRITICAL: "#b3261e",
}
_RESOLVED_COLOUR: Final = "#1a7f37"

_templates: Final = Environment(
    loader=PackageLoader("activities.channels", "templates"),
    autoescape=select_autoescape(enabled_extensions=("html",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def message(
    notification: Notification,
    links: Links,
    *,
    sender: Address,
    recipients: tuple[Address, ...],
    at: datetime,
) -> EmailMessage:
    """The whole email.

    Every email of an incident answers a first one that nobody was sent, and so they all make one
    thread, whoever got which.

    Raises:
        DeliveryRejected: For an update: an email stays as it was sent.
    """
    mail = EmailMessage()
    root = _message_id(f"{notification.headline.incident_id}:incident", sender.domain)
    mail["From"] = sender
    mail["To"] = recipients
    mail["Subject"] = _answering(notification) + subject(notification)
    mail["Date"] = format_datetime(at)
    # The same for each retry, so that a mail system can tell a repeat.
    mail["Message-ID"] = _message_id(notification.id, sender.domain)
    mail["In-Reply-To"] = root
    mail["References"] = root
    # RFC 3834: no out-of-office notice answers it.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Holdfast-Incident"] = _in_a_header(notification.headline.incident_id)
    mail["X-Holdfast-Notification"] = _in_a_header(notification.id)
    mail.set_content(text(notification, links))
    mail.add_alternative(html(notification, links), subtype="html")
    return mail


def subject(notification: Notification) -> str:
    """The incident in a line, the same in all its messages: mail programs thread by it as well."""
    headline = notification.headline
    return in_a_sentence(f"[{headline.severity.upper()}] {headline.service}: {headline.title}")


def text(notification: Notification, links: Links) -> str:
    """The message in plain text; raises as ``message``."""
    return legible(_rendered("mail.txt", notification, links))


def html(notification: Notification, links: Links) -> str:
    """The message in HTML; raises as ``message``."""
    return legible(_rendered("mail.html", notification, links))


def _rendered(template: str, notification: Notification, links: Links) -> str:
    headline = notification.headline
    is_over = notification.kind is NotificationKind.RESOLVED
    return _templates.get_template(template).render(
        # Of news, what comes next may be the news itself.
        lead=dict.fromkeys(filter(None, (_lead(notification), headline.outlook))),
        title=in_a_sentence(headline.title),
        headline=headline,
        colour=_RESOLVED_COLOUR if is_over else _COLOURS[headline.severity],
        facts=_facts(notification),
        bundled=notification.bundled[:_NAMED],
        bundled_count=len(notification.bundled),
        # An incident that is over takes nothing more.
        act_url=None if is_over else links.act_url,
        links=links,
    )


def _lead(notification: Notification) -> str:
    holder = notification.headline.holder
    match notification.kind:
        case NotificationKind.PAGE:
            return f"{holder} has it." if holder else "Nobody has it yet."
        case NotificationKind.REMINDER:
            return "You have it: is it still in hand?"
        case NotificationKind.ACKNOWLEDGED:
            return f"{holder or 'Somebody'} has it."
        case NotificationKind.UNACKNOWLEDGED:
            return "Nobody has it any more."
        case NotificationKind.RESOLVED:
            return "It is over."
        case NotificationKind.UPDATE:
            reason = "an email can't be brought up to date"
            raise DeliveryRejected(FailureKind.REJECTED, reason)
        case _:
            assert_never(notification.kind)


def _facts(notification: Notification) -> Mapping[str, Any]:
    headline = notification.headline
    return {
        "Service": headline.service,
        "Severity": headline.severity.value,
        "Category": headline.category,
        "Status": headline.status,
        "Opened": _opened(headline),
        "Reports": headline.report_count,
        "Level": f"{notification.level}, round {notification.round}",
    }


def _opened(headline: Headline) -> str:
    return f"{headline.opened_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _answering(notification: Notification) -> str:
    first = notification.kind is NotificationKind.PAGE and notification.round == 1
    return "" if first else "Re: "


def _message_id(name: str, domain: str) -> str:
    # As a digest it has room on one line, which some mail programs need.
    digest = sha256(name.encode()).hexdigest()[:_DIGITS]
    return f"<{digest}@{domain.encode('idna').decode()}>"


def _in_a_header(value: str) -> str:
    return " ".join(legible(value).split())

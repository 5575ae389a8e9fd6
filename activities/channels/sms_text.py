"""Owns how an incident reads in a text message, and how its id is shown to people."""

from collections.abc import Sequence
from typing import Final, assert_never

from activities.channels.channel import DeliveryRejected, Links
from activities.excerpt import legible
from holdfast.domain.notification import FailureKind, Notification, NotificationKind

# A text message holds 160 characters of the telephones' alphabet, or 153 as a part of a longer one
# (3GPP TS 23.040): two parts, which telephones show as one message.
LIMIT: Final = 306
# Of a title at least this much is shown; what there may be beside it gives way.
_TITLE: Final = 80
_HOLDER: Final = 40
_URL: Final = 100
_BUNDLED: Final = 5

# Ids are UUIDv7: what was made at about the same time begins alike.
SHORT: Final = 6


def short_id(incident_id: str) -> str:
    """An incident's id as people see and type it: its end."""
    return incident_id[-SHORT:]


def text(notification: Notification, links: Links) -> str:
    """The message.

    Raises:
        DeliveryRejected: For an update: what a telephone has stays as it is.
    """
    headline = notification.headline
    short = short_id(headline.incident_id)
    subject = f"{headline.service}: "
    match notification.kind:
        case NotificationKind.PAGE:
            return _page(notification, links)
        case NotificationKind.REMINDER:
            answer = [f"Reply RESOLVE {short} or UNACK {short}.", headline.outlook]
            return _fitted(f"You have {short}. {subject}", headline.title, answer)
        case NotificationKind.ACKNOWLEDGED:
            holder = _cut(headline.holder or "Somebody", _HOLDER)
            return _fitted(f"{holder} has {short}. {subject}", headline.title)
        case NotificationKind.UNACKNOWLEDGED:
            answer = [f"Reply ACK {short}.", headline.outlook]
            return _fitted(f"Nobody has {short} any more. {subject}", headline.title, answer)
        case NotificationKind.RESOLVED:
            lead = f"Resolved {short}. {subject}"
            return _fitted(lead, headline.title, [headline.outlook])
        case NotificationKind.UPDATE:
            reason = "a text message can't be brought up to date"
            raise DeliveryRejected(FailureKind.REJECTED, reason)
        case _:
            assert_never(notification.kind)


def _page(notification: Notification, links: Links) -> str:
    headline = notification.headline
    answer = f"Reply ACK {short_id(headline.incident_id)}"
    if notification.bundled:
        ids = [short_id(each.incident_id) for each in notification.bundled]
        named = ", ".join(ids[:_BUNDLED]) + (" etc" if len(ids) > _BUNDLED else "")
        answer = f"{answer} or ACK ALL. {len(ids)} more: {named}"
    # The one that can be acted on without a key before the other.
    urls = (url for url in (links.act_url, links.incident_url) if url and len(url) <= _URL)
    lead = f"{headline.severity.value.upper()} {headline.service}: "
    return _fitted(lead, headline.title, [f"{answer}.", next(urls, ""), *headline.unreached])


def _fitted(lead: str, title: str, rest: Sequence[str] = ()) -> str:
    """The title between what comes first and what comes after it.

    Args:
        lead: What it begins with.
        title: As long as there is room.
        rest: The first is there in any case, the others while the title has its share.
    """
    end = "."
    for place, part in enumerate(rest):
        longer = f"{end} {part}"
        if part and (place == 0 or len(lead) + len(longer) + _TITLE <= LIMIT):
            end = longer
    shown = " ".join(legible(title).split()).rstrip(".")
    return f"{lead}{_cut(shown, LIMIT - len(lead) - len(end))}{end}"


def _cut(words: str, limit: int) -> str:
    # Not with an ellipsis of one character: the telephones' alphabet has none.
    return words if len(words) <= limit else f"{words[: limit - 3]}..."

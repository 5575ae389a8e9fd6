"""Owns how an incident reads in Slack, in Block Kit."""

from collections.abc import Sequence
from typing import assert_never

from activities.channels.channel import Links
from activities.channels.slack_actions import acknowledge_button, page_actions, reminder_actions
from activities.channels.slack_blocks import (
    BLOCKS,
    TEXT,
    Block,
    context,
    date,
    escaped,
    fact,
    facts,
    header,
    link,
    listing,
    paragraph,
    section,
)
from activities.channels.sms_text import short_id
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.notification import Headline, Notification, NotificationKind, TimelineLine
from holdfast.domain.throttle import BundledIncident

_FALLBACK = 1000
_TITLE = 500
_HOLDER = 100
_LINE = 500
_BUNDLED = 10


def text(notification: Notification) -> str:
    """The message for a lock screen or a screen reader."""
    headline = notification.headline
    more = f" (and {len(notification.bundled)} more)" if notification.bundled else ""
    words = f"{_lead(notification)} {headline.service}: {headline.title}{more}"
    return escaped(words, limit=_FALLBACK)


def _lead(notification: Notification) -> str:
    """What a message is about, in a few words."""
    headline = notification.headline
    match notification.kind:
        case NotificationKind.PAGE | NotificationKind.UPDATE:
            standing = _standing(headline)
            return f"{standing}:" if standing else f"[{_severity(headline)}]"
        case NotificationKind.REMINDER:
            return "You still have this:"
        case NotificationKind.ACKNOWLEDGED:
            return f"{_taken(headline)}:"
        case NotificationKind.UNACKNOWLEDGED:
            return "Nobody has this any more:"
        case NotificationKind.RESOLVED:
            return "Resolved:"
        case _:
            assert_never(notification.kind)


def _standing(headline: Headline) -> str:
    """How an incident stands, once there is more to say than how bad it is."""
    match headline.status:
        case IncidentStatus.RESOLVED:
            return "Resolved"
        case IncidentStatus.ACKNOWLEDGED:
            return _taken(headline)
        case _:
            return ""


def _taken(headline: Headline) -> str:
    by = f" by {headline.holder[:_HOLDER]}" if headline.holder else ""
    return f"Acknowledged{by}"


def _severity(headline: Headline) -> str:
    return headline.severity.value.upper()


def blocks(notification: Notification, links: Links, *, clickable: bool) -> Sequence[Block]:
    """The message itself: a page tells all there is, news say what is new.

    Args:
        notification: What is told.
        links: Where people read on; without clicks, also where they act.
        clickable: Whether clicks in the message reach Holdfast.
    """
    match notification.kind:
        case NotificationKind.PAGE | NotificationKind.UPDATE:
            actions = page_actions(notification.headline)
            return _page(notification, links, actions if clickable else None)
        case NotificationKind.REMINDER:
            actions = reminder_actions(notification.headline)
            return [*_told(notification, links), *(actions if clickable else [])]
        case _:
            return _told(notification, links)


def _page(notification: Notification, links: Links, actions: Sequence[Block] | None) -> list[Block]:
    headline = notification.headline
    return [
        header(_head(headline)),
        paragraph(headline.title, limit=_TITLE),
        facts(_facts(notification)),
        *listing("Could not be reached", headline.unreached),
        *listing("What was tried", headline.tried),
        *_outlook(headline),
        *_bundled(notification.bundled, clickable=actions is not None),
        *_links(links, act=actions is None and headline.status != IncidentStatus.RESOLVED),
        *(actions or []),
        context(f"Why: {headline.reason}"),
    ]


def _head(headline: Headline) -> str:
    done = "✅ " if headline.status == IncidentStatus.RESOLVED else ""
    return f"{done}{_standing(headline) or _severity(headline)}: {headline.service}"


def _facts(notification: Notification) -> dict[str, str]:
    headline = notification.headline
    holder = {"Who has it": fact(headline.holder)} if headline.holder else {}
    return {
        "Category": fact(headline.category),
        "Severity": fact(headline.severity.value),
        "Status": fact(headline.status),
        **holder,
        "Reports": str(headline.report_count),
        "Level": f"{notification.level}, round {notification.round}",
        "Incident": fact(short_id(headline.incident_id)),
        "Opened": date(headline.opened_at),
    }


def _outlook(headline: Headline) -> list[Block]:
    if not headline.outlook:
        return []
    over = headline.status == IncidentStatus.RESOLVED
    title = "How it ended" if over else "What happens next"
    return [section(f"*{title}*\n{escaped(headline.outlook, limit=_TITLE)}")]


def _bundled(others: Sequence[BundledIncident], *, clickable: bool) -> list[Block]:
    """The incidents that a page speaks for too, each with a button of its own."""
    if not others:
        return []
    count = "1 more incident" if len(others) == 1 else f"{len(others)} more incidents"
    shown = [section(f"*This page speaks for {count}*")]
    for each in others[:_BUNDLED]:
        line = f"{short_id(each.incident_id)} {each.severity.value.upper()} {each.service}: "
        block = section(escaped(f"{line}{each.title}", limit=_TITLE))
        button = {"accessory": acknowledge_button(each.incident_id)} if clickable else {}
        shown.append(block | button)
    if len(others) > _BUNDLED:
        shown.append(context(f"and {len(others) - _BUNDLED} more"))
    return shown


def _told(notification: Notification, links: Links) -> list[Block]:
    headline = notification.headline
    subject = escaped(f"{headline.service}: {headline.title}", limit=_TITLE)
    shown = [section(f"*{escaped(_lead(notification), limit=_TITLE)}* {subject}")]
    if headline.outlook:
        shown.append(section(escaped(headline.outlook, limit=_TITLE)))
    return [*shown, *_links(links, act=False)]


def _links(links: Links, *, act: bool) -> list[Block]:
    named = {"Incident": links.incident_url, "Temporal": links.temporal_url}
    if act:
        named = {"Act on it": links.act_url} | named
    shown = [link(url, name) for name, url in named.items() if url]
    return [section(" · ".join(shown))] if shown else []


def thread_text(lines: Sequence[TimelineLine]) -> str:
    """What a thread is told, for a lock screen or a screen reader."""
    return escaped("; ".join(each.text for each in lines), limit=_FALLBACK)


def thread_blocks(lines: Sequence[TimelineLine]) -> Sequence[Block]:
    """What a thread is told: as many lines as fit into each section, the newest if not all do."""
    texts = [""]
    for each in lines:
        line = f"{date(each.at)} {escaped(each.text, limit=_LINE)}"
        longer = f"{texts[-1]}\n{line}" if texts[-1] else line
        if len(longer) <= TEXT:
            texts[-1] = longer
        else:
            texts.append(line)
    return [section(each) for each in texts[-BLOCKS:]]

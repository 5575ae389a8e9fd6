"""Owns how an incident reads in Slack, in Block Kit.

The limits are Slack's (docs.slack.dev/reference/block-kit); a message that breaks one is refused
as a whole. Whatever a report may have put in is escaped, so that no report can mention people
or show a link as something else.
"""

import html
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from activities.channels.channel import Links
from holdfast.domain.notification import Notification, NotificationKind

Block = dict[str, Any]

_HEADER = 150
_TEXT = 3000
_FIELD = 2000
_FALLBACK = 1000
_TITLE = 500
_TRIED_LINE = 280

_NEWS = {
    NotificationKind.ACKNOWLEDGED: "Acknowledged",
    NotificationKind.RESOLVED: "Resolved",
}


def text(notification: Notification) -> str:
    """The message for a lock screen or a screen reader."""
    headline = notification.headline
    news = _NEWS.get(notification.kind)
    lead = f"{news}: " if news else f"[{headline.severity.value.upper()}] "
    return escaped(f"{lead}{headline.service}: {headline.title}", limit=_FALLBACK)


def blocks(notification: Notification, links: Links) -> Sequence[Block]:
    """The message itself: a page tells all there is, news say what is new."""
    if notification.kind is NotificationKind.PAGE:
        return _page(notification, links)
    return _news(notification, links)


def _page(notification: Notification, links: Links) -> list[Block]:
    headline = notification.headline
    head = f"{headline.severity.value.upper()}: {headline.service}"
    shown: list[Block] = [
        {"type": "header", "text": _plain(head, limit=_HEADER)},
        {"type": "section", "text": _plain(headline.title, limit=_TITLE)},
        {"type": "section", "fields": _fields(notification)},
    ]
    if headline.tried:
        lines = [f"• {escaped(each, limit=_TRIED_LINE)}" for each in headline.tried]
        shown.append(_section("\n".join(["*What was tried*", *lines])))
    if headline.outlook:
        shown.append(_section(f"*What happens next*\n{escaped(headline.outlook, limit=_TITLE)}"))
    return [*shown, *_links(links), _context(f"Why: {headline.reason}")]


def _news(notification: Notification, links: Links) -> list[Block]:
    headline = notification.headline
    lead = f"*{_NEWS[notification.kind]}*: {escaped(headline.title, limit=_TITLE)}"
    shown = [_section(lead)]
    if headline.outlook:
        shown.append(_section(escaped(headline.outlook, limit=_TITLE)))
    return [*shown, *_links(links)]


def _fields(notification: Notification) -> list[Block]:
    headline = notification.headline
    facts = {
        "Category": headline.category,
        "Severity": headline.severity.value,
        "Status": headline.status,
        "Reports": str(headline.report_count),
        "Level": f"{notification.level}, round {notification.round}",
    }
    fields = [_markdown(f"*{name}*\n{escaped(fact, limit=200)}") for name, fact in facts.items()]
    return [*fields, _markdown(f"*Opened*\n{_date(headline.opened_at)}")]


def _date(at: datetime) -> str:
    """A time that Slack shows to each reader in their own time zone."""
    fallback = at.strftime("%Y-%m-%d %H:%M:%S %Z")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{fallback}>"


def _links(links: Links) -> list[Block]:
    named = {"Incident": links.incident_url, "Temporal": links.temporal_url}
    shown = [f"<{html.escape(url, quote=False)}|{name}>" for name, url in named.items() if url]
    return [_section(" · ".join(shown))] if shown else []


def _section(markdown: str) -> Block:
    return {"type": "section", "text": _markdown(markdown)}


def _context(line: str) -> Block:
    return {"type": "context", "elements": [_markdown(escaped(line, limit=_FIELD))]}


def _markdown(markdown: str) -> Block:
    # Verbatim: Slack makes no links or mentions of its own from what looks like one.
    return {"type": "mrkdwn", "text": markdown, "verbatim": True}


def _plain(words: str, *, limit: int) -> Block:
    return {"type": "plain_text", "text": escaped(words, limit=limit), "emoji": False}


def escaped(words: str, *, limit: int) -> str:
    """Text whose ``&``, ``<`` and ``>`` Slack shows as such.

    Args:
        words: Anything.
        limit: The most characters that the escaped text may have; no entity is cut in two.
    """
    whole = html.escape(words, quote=False)
    if len(whole) <= limit:
        return whole or " "
    cut = whole[: limit - 1]
    entity = cut.rfind("&")
    if entity >= 0 and ";" not in cut[entity:]:
        cut = cut[:entity]
    return f"{cut}…"

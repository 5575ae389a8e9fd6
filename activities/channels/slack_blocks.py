"""Owns the pieces that messages in Slack are made of, within the limits of Block Kit.

The limits are Slack's (docs.slack.dev/reference/block-kit); a message that breaks one is refused
as a whole. Whatever a report may have put in is escaped, so that no report can mention people
or show a link as something else.
"""

import html
from collections.abc import Sequence
from datetime import datetime
from typing import Any

Block = dict[str, Any]

BLOCKS = 50
TEXT = 3000
_HEADER = 150
_FIELD = 2000
_FACT = 200
# Ten of them make a text.
_LISTED = 10
_LISTED_LINE = 280


def header(words: str) -> Block:
    """The line in large letters."""
    return {"type": "header", "text": plain(words, limit=_HEADER)}


def paragraph(words: str, *, limit: int) -> Block:
    """Words without any markup."""
    return {"type": "section", "text": plain(words, limit=limit)}


def section(markup: str) -> Block:
    """Markup whose parts are escaped already."""
    return {"type": "section", "text": _markup(markup)}


def facts(named: dict[str, str]) -> Block:
    """At most ten named facts in two columns; each is markup that is escaped already."""
    return {
        "type": "section",
        "fields": [_markup(f"*{name}*\n{fact}") for name, fact in named.items()],
    }


def fact(words: str) -> str:
    """Words that are short enough for one of the facts."""
    return escaped(words, limit=_FACT)


def listing(title: str, lines: Sequence[str]) -> list[Block]:
    """The last ten of some lines under a title; nothing when there are none."""
    shown = [f"• {escaped(each, limit=_LISTED_LINE)}" for each in lines[-_LISTED:]]
    return [section("\n".join([f"*{title}*", *shown]))] if shown else []


def context(line: str) -> Block:
    """A line in small letters."""
    return {"type": "context", "elements": [_markup(escaped(line, limit=_FIELD))]}


def plain(words: str, *, limit: int) -> Block:
    """A text object without markup."""
    return {"type": "plain_text", "text": escaped(words, limit=limit), "emoji": False}


def _markup(markup: str) -> Block:
    # Verbatim: Slack makes no links or mentions of its own from what looks like one.
    return {"type": "mrkdwn", "text": markup, "verbatim": True}


def link(url: str, words: str) -> str:
    """A link as markup."""
    return f"<{html.escape(url, quote=False)}|{words}>"


def date(at: datetime) -> str:
    """A time that Slack shows to each reader in their own time zone."""
    fallback = at.strftime("%Y-%m-%d %H:%M:%S %Z")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{fallback}>"


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

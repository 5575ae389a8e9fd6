"""Owns the timeline of an incident: what the audit log tells, and between it what the demo did."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from holdfast.domain.audit import AuditEntry, AuditEvent

DEMO = "this demo"
LONGEST_SUMMARY = 170

# What the service's recovery tells, the incident's own steps tell as well.
TOLD_TWICE = frozenset({AuditEvent.RECOVERY_STARTED, AuditEvent.RECOVERY_FINISHED})
_ADDRESS = re.compile(r"https?://127\.0\.0\.1:\d+")
_DOCUMENT = re.compile(r':? \{".*')


class Mark(NamedTuple):
    """Something that the demo itself did."""

    at: datetime
    what: str


class Row(NamedTuple):
    """A line of the timeline; ``seconds`` are since its zero."""

    seconds: float
    event: str
    summary: str
    actor: str


def rows(entries: Sequence[AuditEntry], marks: Sequence[Mark]) -> list[Row]:
    """Put facts and marks into one order.

    Reports that follow each other become one line, the last one's; the first mark is the zero.

    Args:
        entries: The facts of one incident, the oldest first, and those of a breaker after them.
        marks: What the demo did; at least one.
    """
    zero = marks[0].at
    lines = [Row(_since(zero, mark.at), "", mark.what, DEMO) for mark in marks]
    lines += [
        Row(_since(zero, entry.at), entry.event, summary, entry.actor)
        for entry, summary in _told(each for each in entries if each.event not in TOLD_TWICE)
    ]
    return sorted(lines, key=lambda line: line.seconds)


def _told(entries: Iterable[AuditEntry]) -> Iterator[tuple[AuditEntry, str]]:
    for event, group in groupby(entries, key=lambda entry: entry.event):
        facts = list(group)
        if event is AuditEvent.INCIDENT_REPORTED:
            count = sum(int(str(fact.detail["count"])) for fact in facts)
            told = "reported again" if count == 1 else f"reported {count} more times"
            yield facts[-1], told
        else:
            yield from ((fact, shortened(fact.summary)) for fact in facts)


def shortened(summary: str) -> str:
    """A summary without what only programs read, addresses and JSON, and not too long."""
    text = " ".join(_DOCUMENT.sub("", _ADDRESS.sub("", summary)).split())
    return text if len(text) <= LONGEST_SUMMARY else f"{text[: LONGEST_SUMMARY - 3].rstrip()}..."


def table(lines: Sequence[Row]) -> Table:
    """The timeline for a terminal, readable without colours as well."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    shown.add_column("time", justify="right", no_wrap=True)
    shown.add_column("event", no_wrap=True)
    shown.add_column("what happened", ratio=1)
    shown.add_column("by", no_wrap=True)
    for line in lines:
        style = "yellow" if line.actor == DEMO else ""
        cells = (f"{line.seconds:+.1f} s", line.event or "-", line.summary, line.actor)
        shown.add_row(*(Text(cell) for cell in cells), style=style)
    return shown


def took(since: datetime, until: datetime | None) -> str:
    """A duration in words; a dash where there is no end."""
    return "-" if until is None else f"{_since(since, until):.1f} s"


def _since(zero: datetime, at: datetime) -> float:
    return (at - zero).total_seconds()

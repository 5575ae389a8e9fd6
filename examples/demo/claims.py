"""Owns the claims: whatever the demo says has happened is looked at first, in one of these ways."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from time import monotonic
from typing import TypeVar

from examples.stand_ins.slack import Message
from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.notification import NotificationKind

LOOK_EVERY = timedelta(milliseconds=200)
LONGEST_SEEN = 400

Seen = TypeVar("Seen")


class ClaimFailed(Exception):
    """Something that the demo tells did not happen; the message says what was seen instead."""


def require(claim: str, *, holds: bool, seen: object) -> None:
    """Go on only if a claim holds.

    Raises:
        ClaimFailed: It does not.
    """
    if not holds:
        raise ClaimFailed(f"{claim}; seen instead: {_shortened(seen)}")


async def eventually(
    claim: str,
    look: Callable[[], Awaitable[Seen]],
    *,
    holds: Callable[[Seen], object],
    within: timedelta,
    shown: Callable[[Seen], object] = str,
) -> Seen:
    """Look until a claim holds.

    Args:
        claim: What is expected, as a sentence without its full stop.
        look: Looks once.
        holds: Whether what was seen is what is expected.
        within: How long to look.
        shown: What the message of a failure shows of the last look.

    Returns:
        What was seen when it held.

    Raises:
        ClaimFailed: It did not hold in time.
    """
    deadline = monotonic() + within.total_seconds()
    while True:
        seen = await look()
        if holds(seen):
            return seen
        if monotonic() > deadline:
            last = _shortened(shown(seen))
            raise ClaimFailed(
                f"{claim}: not within {within.total_seconds():g} s; last seen: {last}"
            )
        await asyncio.sleep(LOOK_EVERY.total_seconds())


def happened(entries: Sequence[AuditEntry], event: AuditEvent) -> bool:
    """Whether the audit log holds such a fact."""
    return any(entry.event is event for entry in entries)


def require_order(entries: Sequence[AuditEntry], *events: AuditEvent) -> None:
    """Go on only if the facts hold these, one after the other, whatever else lies between.

    Raises:
        ClaimFailed: One is missing or out of order; the message names the first such.
    """
    rest = iter(entries)
    for event in events:
        if not any(entry.event is event for entry in rest):
            order = ", ".join(events)
            told = ", ".join(entry.event for entry in entries)
            raise ClaimFailed(
                f"the audit log has no {event} in its place of the order {order}; it has: {told}"
            )


def levels_paged(entries: Sequence[AuditEntry]) -> list[int]:
    """The levels that were paged by the audit log's word, in its order."""
    paged = (each for each in entries if each.event is AuditEvent.ESCALATION_LEVEL_PAGED)
    return [int(str(entry.detail["level"])) for entry in paged]


def receivers(
    messages: Sequence[Message], kind: NotificationKind, *, incident_id: str | None = None
) -> list[str]:
    """To whom Slack delivered messages of a kind, of one incident or all, as they arrived.

    A reply is sent to the thread of a page, so its channel is named by the page.
    """
    names = {each.channel: each.sent_to for each in messages if each.thread_ts is None}
    told = sent(messages, kind, incident_id=incident_id)
    return [names.get(each.channel, each.channel) for each in told]


def sent(
    messages: Sequence[Message], kind: NotificationKind, *, incident_id: str | None = None
) -> list[Message]:
    """The messages of a kind, of one incident or all, as they arrived."""
    payloads = [(each, each.metadata.get("event_payload", {})) for each in messages]
    return [
        message
        for message, payload in payloads
        if payload.get("kind") == kind.value and incident_id in {None, payload.get("incident_id")}
    ]


def _shortened(seen: object) -> str:
    text = str(seen)
    return text if len(text) <= LONGEST_SEEN else f"{text[:LONGEST_SEEN]}..."

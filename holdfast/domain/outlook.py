"""Owns the outlook: what comes next for an incident if nobody does anything, and when."""

from typing import assert_never

from pydantic import AwareDatetime

from holdfast.domain.custody import Escalating
from holdfast.domain.incident import Incident
from holdfast.domain.model import Model
from holdfast.domain.page import HoldKind, PageHold


class Upcoming(Model):
    """What comes next.

    Attributes:
        what: What will happen, as a clause: ``level 2 is paged unless ...``.
        at: When, at the latest.
    """

    what: str
    at: AwareDatetime


def upcoming(incident: Incident) -> Upcoming | None:
    """What comes next; None when nothing will by itself."""
    if incident.is_resolved:
        return None
    if snoozed_until := incident.custody.snoozed_until:
        return Upcoming(what="the snooze is over and paging goes on", at=snoozed_until)
    if incident.is_acknowledged:
        return _while_acknowledged(incident)
    return _while_nobody_has_it(incident.escalation)


def _while_nobody_has_it(escalation: Escalating) -> Upcoming | None:
    both = (_next_page(escalation), _next_shift(escalation))
    return min((each for each in both if each), key=lambda each: each.at, default=None)


def _next_page(escalation: Escalating) -> Upcoming | None:
    if escalation.hold:
        return Upcoming(what=_held(escalation.hold), at=escalation.hold.until)
    if escalation.next_level_at:
        level = escalation.next_level or escalation.level + 1
        what = f"level {level} is paged unless somebody acknowledges"
        return Upcoming(what=what, at=escalation.next_level_at)
    return None


def _next_shift(escalation: Escalating) -> Upcoming | None:
    if escalation.shift_ends_at is None:
        return None
    what = "the shift changes and whoever is on call then is paged"
    return Upcoming(what=what, at=escalation.shift_ends_at)


def _while_acknowledged(incident: Incident) -> Upcoming | None:
    custody = incident.custody
    if custody.remind_at:
        return Upcoming(what=f"{incident.acknowledged_by} is reminded", at=custody.remind_at)
    if custody.ends_at:
        what = "the acknowledgement is taken back and paging goes on"
        return Upcoming(what=what, at=custody.ends_at)
    return None


def _held(hold: PageHold) -> str:
    match hold.kind:
        case HoldKind.RECOVERY:
            return "the page goes out unless recovery helps before"
        case HoldKind.SILENCE:
            return "the silence ends and the page goes out"
        case HoldKind.HOURS:
            return "the policy's hours begin and the page goes out"
        case HoldKind.DEPENDENCY:
            return "it is looked again whether what this depends on is well"
        case _:
            assert_never(hold.kind)


def outlook(incident: Incident) -> str:
    """What comes next, as a sentence for a message."""
    if incident.is_resolved or incident.is_acknowledged or incident.is_snoozed:
        return incident.whose
    coming = upcoming(incident)
    if coming is None:
        return "This was the last level; nobody else will be paged."
    return f"{coming.what[0].upper()}{coming.what[1:]}: {coming.at:%H:%M:%S} UTC."

"""Owns the duty: what an incident's escalation has to do now, and when it wants to be asked again.

It brings custody (acknowledged, snoozed) and the ladder together, so that there is one place which
says that nobody is paged while somebody has the incident.
"""

from datetime import datetime
from enum import StrEnum

from holdfast.domain.custody import Custody
from holdfast.domain.incident import Incident
from holdfast.domain.ladder import Ladder
from holdfast.domain.model import Model
from holdfast.domain.page import Page


class DutyKind(StrEnum):
    """What there is to do."""

    PAGE = "page"
    REMIND = "remind"
    TAKE_BACK = "take_back"
    WAKE_UP = "wake_up"
    RELIEVE = "relieve"


class Duty(Model):
    """One thing to do now.

    Attributes:
        page: For ``page``: what the ladder wants sent.
    """

    kind: DutyKind
    page: Page | None = None


def duty(incident: Incident, ladder: Ladder | None, *, now: datetime) -> Duty | None:
    """What is due, the most pressing first; None when there is nothing to do for now."""
    custody = incident.custody
    if incident.is_resolved:
        return None
    if custody.snoozed_until:
        return Duty(kind=DutyKind.WAKE_UP) if now >= custody.snoozed_until else None
    if incident.is_acknowledged:
        return _of_the_holder(custody, now)
    return _of_the_ladder(ladder, incident.escalation.shift_ends_at, now) if ladder else None


def _of_the_holder(custody: Custody, now: datetime) -> Duty | None:
    if custody.ends_at and now >= custody.ends_at:
        return Duty(kind=DutyKind.TAKE_BACK)
    reminds = custody.remind_at is not None and now >= custody.remind_at
    return Duty(kind=DutyKind.REMIND) if reminds else None


def _of_the_ladder(ladder: Ladder, shift_ends_at: datetime | None, now: datetime) -> Duty | None:
    if page := ladder.due(now):
        return Duty(kind=DutyKind.PAGE, page=page)
    relieves = shift_ends_at is not None and now >= shift_ends_at
    return Duty(kind=DutyKind.RELIEVE) if relieves else None


def wakes_at(incident: Incident, ladder: Ladder | None) -> datetime | None:
    """When something will be due, if nothing happens before; None for never."""
    custody = incident.custody
    if incident.is_resolved:
        return None
    if custody.snoozed_until:
        return custody.snoozed_until
    if incident.is_acknowledged:
        return custody.remind_at or custody.ends_at
    times = [ladder.wakes_at, incident.escalation.shift_ends_at] if ladder else []
    return min((each for each in times if each), default=None)

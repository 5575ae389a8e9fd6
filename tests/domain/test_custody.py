"""Who has an incident, and for how long."""

from datetime import timedelta

import pytest

from holdfast.domain.custody import Actor, Custody, Escalating, Via
from holdfast.domain.page import HoldKind, PageHold
from tests.domain.nights import ADA, EVENING

HOUR = timedelta(hours=1)
NOTHING = timedelta(0)


@pytest.mark.parametrize(
    ("timeout", "remind_before", "ends", "reminds"),
    [
        (HOUR, HOUR / 6, HOUR, HOUR * 5 / 6),
        (HOUR, NOTHING, HOUR, None),
        (HOUR, HOUR, HOUR, None),
        (HOUR, 2 * HOUR, HOUR, None),
        (NOTHING, HOUR / 6, None, None),
    ],
)
def test_an_acknowledgement_is_worth_its_time(timeout, remind_before, ends, reminds):
    """They are reminded before its end, unless that would be at once; nothing is for good."""
    custody = Custody().taken(ADA, at=EVENING, timeout=timeout, remind_before=remind_before)
    assert custody.ends_at == (ends and EVENING + ends)
    assert custody.remind_at == (reminds and EVENING + reminds)
    assert (custody.person, custody.via) == ("ada", Via.API)


def test_whoever_takes_it_ends_a_snooze():
    """It is in somebody's hands: that somebody wanted it left alone no longer matters."""
    snoozed = Custody(snoozed_until=EVENING, snoozed_by="bob")
    custody = snoozed.taken(ADA, at=EVENING, timeout=HOUR, remind_before=NOTHING)
    assert (custody.snoozed_until, custody.snoozed_by) == (None, None)


def test_given_up_nothing_keeps_pages_back_but_used_links_stay_used():
    """A link must not work twice because the incident was given back in between."""
    custody = Custody(assigned_to="bob", used_links=("a",)).taken(
        ADA, at=EVENING, timeout=HOUR, remind_before=HOUR / 6
    )
    assert custody.given_up() == Custody(assigned_to="bob", used_links=("a",))


@pytest.mark.parametrize(
    ("via", "shown"),
    [(Via.API, "Ada"), (Via.SYSTEM, "Ada"), (Via.SLACK, "Ada (over slack)")],
)
def test_who_acted_over_what_is_said_where_it_tells_something(via, shown):
    """The record reads: Ada has it, Ada (over slack) has it."""
    assert str(Actor(name="Ada", via=via)) == shown


def test_an_escalation_that_is_over_announces_nothing():
    """What was paged stays on show; what would have come goes."""
    hold = PageHold(kind=HoldKind.SILENCE, until=EVENING, reason="planned")
    coming = {"held_until": EVENING, "hold": hold, "next_level_at": EVENING, "next_level": 2}
    assert Escalating(reason="so", level=1, **coming).over() == Escalating(reason="so", level=1)

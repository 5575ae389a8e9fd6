"""What comes next, as people are told it."""

import pytest

from holdfast.domain.custody import Custody, Escalating
from holdfast.domain.incident_status import Resolution
from holdfast.domain.outlook import outlook, upcoming
from holdfast.domain.page import HoldKind, PageHold
from tests.domain.nights import ADA, EVENING, MINUTE, opened

SOON, LATER = EVENING + 5 * MINUTE, EVENING + 10 * MINUTE


def escalating(**fields):
    escalation = Escalating(reason="so", **fields)
    return opened().model_copy(update={"escalation": escalation})


def having_it(**fields):
    taken = opened().acknowledged(ADA, at=EVENING)
    return taken.model_copy(update={"custody": Custody(**fields)})


def held(kind):
    return PageHold(kind=kind, until=SOON, reason="so")


@pytest.mark.parametrize(
    ("incident", "what", "at"),
    [
        (
            escalating(next_level_at=SOON, next_level=2),
            "level 2 is paged unless somebody acknowledges",
            SOON,
        ),
        (
            escalating(next_level_at=SOON, next_level=1, shift_ends_at=LATER),
            "level 1 is paged unless somebody acknowledges",
            SOON,
        ),
        (
            escalating(next_level_at=LATER, next_level=2, shift_ends_at=SOON),
            "the shift changes and whoever is on call then is paged",
            SOON,
        ),
        (
            escalating(hold=held(HoldKind.RECOVERY)),
            "the page goes out unless recovery helps before",
            SOON,
        ),
        (
            escalating(hold=held(HoldKind.SILENCE)),
            "the silence ends and the page goes out",
            SOON,
        ),
        (
            escalating(hold=held(HoldKind.HOURS)),
            "the policy's hours begin and the page goes out",
            SOON,
        ),
        (
            escalating(hold=held(HoldKind.DEPENDENCY)),
            "it is looked again whether what this depends on is well",
            SOON,
        ),
        (having_it(remind_at=SOON, ends_at=LATER), "Ada Lovelace is reminded", SOON),
        (
            having_it(ends_at=LATER),
            "the acknowledgement is taken back and paging goes on",
            LATER,
        ),
        (having_it(snoozed_until=LATER), "the snooze is over and paging goes on", LATER),
    ],
)
def test_whatever_comes_next_is_said_with_its_time(incident, what, at):
    """The earliest of what will happen by itself."""
    coming = upcoming(incident)
    assert (coming.what, coming.at) == (what, at)


@pytest.mark.parametrize(
    "incident",
    [
        escalating(),
        having_it(),
        escalating(next_level_at=SOON).resolved(Resolution.PERSON, by="ada", at=EVENING),
    ],
)
def test_where_nothing_comes_by_itself_nothing_is_announced(incident):
    """The ladder is done, somebody has it for good, or it is over."""
    assert upcoming(incident) is None


@pytest.mark.parametrize(
    ("incident", "sentence"),
    [
        (
            escalating(next_level_at=SOON, next_level=2),
            "Level 2 is paged unless somebody acknowledges: 22:05:00 UTC.",
        ),
        (escalating(), "This was the last level; nobody else will be paged."),
        (having_it(ends_at=LATER), "Ada Lovelace has it."),
        (
            opened().snoozed(ADA, until=LATER, at=EVENING),
            "Snoozed until 22:10 UTC by Ada Lovelace.",
        ),
        (
            opened().resolved(Resolution.PERSON, by="ada", at=EVENING, note="the cable"),
            "Resolved by ada (the cable).",
        ),
    ],
)
def test_a_message_says_in_a_sentence_what_comes(incident, sentence):
    """Whose it is, once it is somebody's; else what happens unless they act."""
    assert outlook(incident) == sentence

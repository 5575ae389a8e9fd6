"""Where a target is reached, and what is said when it can't be."""

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain.person import Contact, Person
from holdfast.domain.policy import Policy
from holdfast.domain.route import recipient
from holdfast.domain.schedule import Shift
from holdfast.domain.target import Target

POLICY = Policy.model_validate(
    {
        "channels": {
            "chat": {"kind": "slack", "token": "${TOKEN}", "to": "#ops", "fallback": "mail"},
            "mail": {
                "kind": "email",
                "host": "mail.test",
                "sender": "holdfast@mail.test",
                "to": "all@example.com",
                "fallback": "hook",
            },
            "hook": {"kind": "webhook", "url": "http://127.0.0.1:1/", "deadline": "7s"},
        },
        "people": {
            "ada": {
                "name": "Ada Lovelace",
                "contacts": [
                    {"channel": "chat", "to": "U0000ADA"},
                    {"channel": "mail", "to": "ada@example.com"},
                ],
                "fallback": "grace",
            },
            "grace": {
                "contacts": [
                    {"channel": "mail", "to": "grace@example.com"},
                    {"channel": "mail", "to": "ada@example.com"},
                    {"channel": "hook"},
                ]
            },
        },
        "schedules": {"primary": {"layers": [{"people": ["ada"], "starts_on": "2026-01-05"}]}},
    }
)
ENDS_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def contact(channel, to=None):
    return Contact(channel=channel, to=to)


def without(**removed):
    """The policy as a reload left it: without the names that are given by section."""
    sections = {
        section: {key: each for key, each in getattr(POLICY, section).items() if key != name}
        for section, name in removed.items()
    }
    return POLICY.model_copy(update=sections)


def contacts(found):
    return [hop.contact for hop in found.hops]


def test_a_person_is_reached_over_their_contacts_and_then_by_their_stand_in():
    """In order of preference; an address that both have is tried once."""
    found = recipient(Target(person="ada"), POLICY)
    assert (found.who, found.person, found.problem) == ("Ada Lovelace", "ada", "")
    assert [(hop.person, hop.contact) for hop in found.hops] == [
        ("ada", contact("chat", "U0000ADA")),
        ("ada", contact("mail", "ada@example.com")),
        ("grace", contact("mail", "grace@example.com")),
        ("grace", contact("hook")),
    ]


def test_a_hop_knows_what_its_channel_can_do():
    """A message in Slack is edited, a webhook follows, email does neither; each has its time."""
    found = recipient(Target(person="ada"), POLICY)
    assert [(hop.edits, hop.mirrors, hop.deadline) for hop in found.hops] == [
        (True, True, timedelta(seconds=60)),
        (False, False, timedelta(seconds=300)),
        (False, False, timedelta(seconds=300)),
        (False, True, timedelta(seconds=7)),
    ]


def test_a_person_without_a_name_is_called_by_their_key():
    assert recipient(Target(person="grace"), POLICY).who == "grace"


def test_people_who_stand_in_for_each_other_are_asked_once():
    """A check refuses such a file; what got past it must not hang a page."""
    circle = {
        key: Person(contacts=(contact("hook", key),), fallback=other)
        for key, other in [("ada", "grace"), ("grace", "ada")]
    }
    found = recipient(Target(person="ada"), POLICY.model_copy(update={"people": circle}))
    assert [hop.person for hop in found.hops] == ["ada", "grace"]


def test_whoever_is_on_call_is_reached_as_a_person():
    """With the schedule beside their name, so that nobody wonders why it was them."""
    shift = Shift(person="ada", ends_at=ENDS_AT)
    found = recipient(Target(schedule="primary"), POLICY, shift=shift)
    assert (found.who, found.person) == ("Ada Lovelace (on call: primary)", "ada")
    assert contacts(found) == contacts(recipient(Target(person="ada"), POLICY))


@pytest.mark.parametrize(
    ("shift", "problem"),
    [
        (
            Shift(person=None, ends_at=ENDS_AT),
            "nobody is on call in the schedule 'primary' until 09:00 UTC on 2026-03-02",
        ),
        (Shift(person=None), "nobody is on call in the schedule 'primary'"),
        (
            Shift(person=None, source="calendar: 'Alan' is nobody in people"),
            "nobody is on call in the schedule 'primary' (calendar: 'Alan' is nobody in people)",
        ),
    ],
)
def test_a_gap_says_that_nobody_is_on_call_and_until_when(shift, problem):
    found = recipient(Target(schedule="primary"), POLICY, shift=shift)
    assert (found.who, found.person, found.hops) == ("on call: primary", None, ())
    assert found.problem == problem


def test_a_broken_calendar_is_the_problem_unless_an_override_has_somebody():
    """Whoever was put on call by hand is, whatever the calendar says."""
    target, trouble = Target(schedule="primary"), "the schedule 'primary': the calendar is away"
    gap = recipient(target, POLICY, shift=Shift(person=None), trouble=trouble)
    assert (gap.hops, gap.problem) == ((), trouble)
    overridden = recipient(target, POLICY, shift=Shift(person="ada"), trouble=trouble)
    assert (len(overridden.hops), overridden.problem) == (4, "")


def test_a_channel_is_reached_at_the_address_given_and_its_fallbacks_at_their_own():
    """What is an address in Slack is none for email."""
    found = recipient(Target(channel="chat", to="#team"), POLICY)
    assert (found.who, found.person) == ("chat (#team)", None)
    assert contacts(found) == [contact("chat", "#team"), contact("mail"), contact("hook")]


def test_channels_that_take_over_for_each_other_are_tried_once():
    """A check refuses such a file; what got past it must not hang a page."""
    hook = POLICY.channels["hook"].model_copy(update={"fallback": "chat"})
    circle = POLICY.model_copy(update={"channels": POLICY.channels | {"hook": hook}})
    assert [hop.contact.channel for hop in recipient(Target(channel="chat"), circle).hops] == [
        "chat",
        "mail",
        "hook",
    ]


@pytest.mark.parametrize(
    ("target", "removed", "problem"),
    [
        (Target(person="ada"), {"people": "ada"}, "has no person 'ada' any more"),
        (
            Target(schedule="primary"),
            {"schedules": "primary"},
            "has no schedule 'primary' any more",
        ),
        (Target(channel="hook"), {"channels": "hook"}, "has no channel 'hook' any more"),
    ],
)
def test_what_a_reload_took_away_is_said(target, removed, problem):
    """An open incident may name what the present policy does not know."""
    found = recipient(target, without(**removed), shift=None)
    assert (found.hops, found.problem) == ((), f"the policy file {problem}")


@pytest.mark.parametrize(
    ("target", "removed", "left", "problem"),
    [
        (
            Target(person="ada"),
            {"people": "grace"},
            2,
            "the policy file has no person 'grace' any more",
        ),
        (
            Target(person="ada"),
            {"channels": "chat"},
            3,
            "a contact of Ada Lovelace: the policy file has no channel 'chat' any more",
        ),
        (
            Target(channel="chat"),
            {"channels": "mail"},
            1,
            "the policy file has no channel 'mail' any more",
        ),
    ],
)
def test_what_is_left_is_used_and_what_is_missing_said(target, removed, left, problem):
    """One contact less is no reason to reach nobody."""
    found = recipient(target, without(**removed))
    assert (len(found.hops), found.problem) == (left, problem)

"""Which severity and policy the rules choose, and that what they choose only becomes louder."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.escalation import (
    Circumstances,
    Escalation,
    EscalationChoice,
    EscalationPolicy,
    EscalationRule,
    is_louder,
)
from holdfast.domain.frequency import Tally
from holdfast.domain.severity import Severity
from holdfast.domain.target import Target
from tests.domain.nights import EVENING, MINUTE, policy

NIGHT = {"starts": "22:00", "ends": "07:00"}
NOON = EVENING - timedelta(hours=10)
POLICIES = {name: policy() for name in ("default", "night", "loud")}


def book(*rules, policies=POLICIES, hours=("night", "office")) -> Escalation:
    spans = {"night": NIGHT, "office": {"starts": "09:00", "ends": "17:00"}}
    return Escalation.model_validate(
        {
            "rules": rules,
            "policies": policies,
            "hours": {name: spans[name] for name in hours},
        }
    )


def known(*, reported=0, at=EVENING, **fields) -> Circumstances:
    tally = Tally(span=5 * MINUTE)
    tallies = (tally.counted(reported, at=at),) if reported else ()
    given = {"service": "channels", "category": "network", "severity": "high"} | fields
    return Circumstances.model_validate({"occurrences": tallies} | given)


def chosen(*rules, now=EVENING, policies=POLICIES, **fields) -> EscalationChoice | None:
    return book(*rules, policies=policies).choice(now, known(at=now, **fields))


@pytest.mark.parametrize("wrong", [{"levels": []}, {"levels": [{"targets": []}]}])
def test_a_policy_that_would_page_nobody_is_refused(wrong):
    """It would look like an escalation and be none."""
    with pytest.raises(ValidationError):
        EscalationPolicy.model_validate(wrong)


def test_a_rule_that_would_change_nothing_is_refused():
    """Whoever wrote it meant something."""
    with pytest.raises(ValidationError, match="it would change nothing"):
        EscalationRule.model_validate({"severity": ["high"]})


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({}, True),
        ({"severity": ["critical", "high"]}, True),
        ({"severity": ["low"]}, False),
        ({"category": ["network"]}, True),
        ({"category": ["timeout"]}, False),
        ({"service": ["channels"]}, True),
        ({"service": ["shop"]}, False),
        ({"severity": ["high"], "category": ["timeout"]}, False),
        ({"during": "night"}, True),
        ({"during": "office"}, False),
    ],
)
def test_a_rule_fits_when_all_that_it_gives_holds(asked, fits):
    """What it leaves out does not matter."""
    assert chosen({"policy": "night"} | asked).name == ("night" if fits else "default")


@pytest.mark.parametrize(("now", "name"), [(EVENING, "night"), (NOON, "default")])
def test_a_rule_may_ask_for_the_time_of_the_day(now, name):
    """At night another policy than at noon."""
    choice = chosen({"policy": "night", "during": "night"}, now=now)
    assert choice.name == name


@pytest.mark.parametrize(("reported", "fits"), [(0, False), (49, False), (50, True), (51, True)])
def test_a_rule_may_ask_how_often_the_error_was_reported(reported, fits):
    """So many reports within a span; the count itself is enough."""
    rule = {"policy": "loud", "occurrences": "50 within 5m"}
    assert (chosen(rule, reported=reported).name == "loud") is fits


def test_reports_that_have_left_the_span_count_no_more():
    """50 within 5m, not 50 in all."""
    rules = book({"policy": "loud", "occurrences": "50 within 5m"})
    counted = known(reported=50)
    assert rules.choice(EVENING + 6 * MINUTE, counted).name == "default"


@pytest.mark.parametrize(
    ("incidents", "fits"), [({3600: 3}, True), ({3600: 2}, False), ({60: 9}, False), ({}, False)]
)
def test_a_rule_may_ask_how_many_incidents_the_service_had(incidents, fits):
    """What nobody could tell (the record is away) fits no rule."""
    rule = {"policy": "loud", "incidents": "3 within 1h"}
    counts = {timedelta(seconds=span): count for span, count in incidents.items()}
    assert (chosen(rule, incidents=counts).name == "loud") is fits


def test_the_book_says_what_has_to_be_counted():
    """Each span once, whatever rules ask it; without such a rule nothing is counted."""
    rules = book(
        {"policy": "loud", "occurrences": "50 within 5m", "incidents": "3 within 1h"},
        {"raise_severity": "critical", "occurrences": "9 within 5m"},
        {"policy": "night", "occurrences": "9 within 1m"},
    )
    assert [each.span for each in rules.tallies()] == [MINUTE, 5 * MINUTE]
    assert rules.incident_spans() == (timedelta(hours=1),)
    assert (book().tallies(), book().incident_spans()) == ((), ())


def test_the_first_rule_that_fits_chooses():
    """The reason names it by its place, and what it found out."""
    choice = chosen(
        {"policy": "night", "severity": ["low"]},
        {"policy": "night", "during": "night", "occurrences": "2 within 5m"},
        {"policy": "default"},
        reported=2,
    )
    assert (choice.name, choice.place) == ("night", 2)
    because = "reported 2 within 0:05:00, it is night"
    assert choice.reason == f"escalation rule 2 chose 'night' ({because})"


def test_a_rule_may_shorten_the_hold():
    """The most severe need not wait for recovery."""
    assert chosen({"policy": "night", "hold_page_for": "0s"}).hold_page_for == timedelta(0)
    assert chosen({"policy": "night"}).hold_page_for == timedelta(minutes=2)


def test_without_a_rule_the_default_policy_is_followed():
    """Whoever names one policy ``default`` needs no rules."""
    assert (chosen().name, chosen().place) == ("default", 0)


def test_without_a_default_nobody_is_paged():
    """The caller must say so, rather than fail."""
    assert chosen(policies={}) is None


def test_a_rule_raises_the_severity_and_says_why():
    """Fifty reports make it critical."""
    rules = book({"raise_severity": "critical", "occurrences": "50 within 5m"})
    raised = rules.severity(EVENING, known(reported=50))
    assert raised == (Severity.CRITICAL, "escalation rule 1 (reported 50 within 0:05:00)")


@pytest.mark.parametrize("severity", ["high", "critical"])
def test_a_severity_is_never_lowered(severity):
    """What is that severe already stays as it is, and nothing is said."""
    rules = book({"raise_severity": "high"})
    assert rules.severity(EVENING, known(severity=severity)) == (Severity(severity), None)


def test_a_rule_further_down_sees_what_was_raised():
    """Severity first, then the policy: in one go from the top."""
    rules = book(
        {"raise_severity": "high", "severity": ["medium"]},
        {"raise_severity": "critical", "severity": ["high"]},
        {"policy": "loud", "severity": ["critical"]},
    )
    severity, why = rules.severity(EVENING, known(severity="medium"))
    assert (severity, why) == (Severity.CRITICAL, "escalation rule 2")
    assert rules.choice(EVENING, known(severity=severity)).name == "loud"


def test_a_rule_that_only_raises_chooses_no_policy():
    """The next one does."""
    assert chosen({"raise_severity": "critical"}, {"policy": "loud"}).place == 2


@pytest.mark.parametrize(
    ("new", "old", "louder"),
    [
        (1, None, True),
        (0, None, True),
        (1, 2, True),
        (2, 1, False),
        (1, 1, False),
        (3, 0, True),
        (0, 3, False),
        (0, 0, False),
    ],
)
def test_only_a_rule_that_stands_higher_takes_anothers_place(new, old, louder):
    """The loudest go first; the default stands below them all."""

    def choice(place):
        return EscalationChoice(
            name="p", policy=policy(), hold_page_for="0s", reason="", place=place
        )

    assert is_louder(choice(new), None if old is None else choice(old)) is louder


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target(channel="slack", to="#ops"), "slack (#ops)"),
        (Target(channel="slack"), "slack"),
        (Target(person="ada"), "ada"),
        (Target(schedule="primary"), "on call: primary"),
    ],
)
def test_a_target_reads_as_people_call_it(target, text):
    """Who, or where."""
    assert str(target) == text


@pytest.mark.parametrize(
    "wrong",
    [{}, {"person": "ada", "channel": "slack"}, {"person": "ada", "to": "x"}, {"to": "x"}],
)
def test_a_target_is_one_thing(wrong):
    """A person's addresses are the person's."""
    with pytest.raises(ValidationError):
        Target.model_validate(wrong)


SERVICES = ["channels", "shop"]
CATEGORIES = ["network", "timeout"]
RULES = st.builds(
    EscalationRule,
    policy=st.sampled_from(["night", "loud", "default"]),
    raise_severity=st.none() | st.sampled_from(Severity),
    severity=st.lists(st.sampled_from(Severity), max_size=2).map(tuple),
    category=st.lists(st.sampled_from(CATEGORIES), max_size=1).map(tuple),
    service=st.lists(st.sampled_from(SERVICES), max_size=1).map(tuple),
    during=st.none() | st.sampled_from(["night", "office"]),
    occurrences=st.none() | st.just("50 within 5m"),
    incidents=st.none() | st.just("3 within 1h"),
)


ASKED = st.builds(
    known,
    service=st.sampled_from(SERVICES),
    category=st.sampled_from(CATEGORIES),
    severity=st.sampled_from(Severity),
    reported=st.sampled_from([0, 50]),
    incidents=st.sampled_from([{}, {timedelta(hours=1): 3}]),
)


@given(st.lists(RULES, max_size=5).map(tuple), ASKED, st.sampled_from([EVENING, NOON]))
def test_what_is_pinned_is_exactly_what_can_be_followed(rules, asked, now):
    """An incident carries its part of the rules with it, and chooses as the whole would.

    For the reason, too, that the whole would give: it names the rule by its place in the file.
    """
    whole = book().model_copy(update={"rules": rules})
    pinned = whole.pinned(service=asked.service, category=asked.category)
    assert pinned.choice(now, asked) == whole.choice(now, asked)
    assert pinned.severity(now, asked) == whole.severity(now, asked)
    assert set(pinned.policies) == {"default", *(rule.policy for rule in pinned.rules)}
    assert set(pinned.hours) == {rule.during for rule in pinned.rules if rule.during}


def test_the_places_of_rules_are_not_to_be_written():
    """They are counted; a wrong one would have reasons name the wrong rule."""
    with pytest.raises(ValidationError, match="places"):
        Escalation.model_validate({"places": [1, 2]}, extra="forbid")


def test_what_is_pinned_keeps_a_policys_hours():
    """The policy that pages only by day is asked for them at night."""
    policies = POLICIES | {"loud": policy(only_during="office")}
    rules = book({"policy": "loud"}, policies=policies)
    assert set(rules.pinned(service="shop", category="network").hours) == {"office"}


@given(st.lists(RULES, min_size=1, max_size=5).map(tuple), st.lists(st.sampled_from(Severity)))
def test_an_incident_that_goes_on_only_becomes_louder(rules, severities):
    """However its circumstances change, it never goes back to a rule further down."""
    whole = book().model_copy(update={"rules": rules})
    present, places = None, []
    for severity in severities:
        choice = whole.choice(EVENING, known(severity=severity))
        if is_louder(choice, present):
            present = choice
            places.append(choice.place or len(rules) + 1)
    assert places == sorted(places, reverse=True)
    assert len(places) == len(set(places))

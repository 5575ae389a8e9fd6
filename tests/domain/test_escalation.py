"""Who is paged, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import ValidationError

from holdfast.domain.classification import Classification
from holdfast.domain.escalation import (
    EscalationLevel,
    EscalationPolicy,
    EscalationRule,
    Ladder,
    Target,
    choose_policy,
)

START = datetime(2026, 3, 1, tzinfo=UTC)


def policy(*waits, repeat=0, channel="ops", hold=timedelta(minutes=2)):
    levels = [
        EscalationLevel(targets=[Target(channel=channel, to=str(number))], escalate_after=wait)
        for number, wait in enumerate(waits, start=1)
    ]
    return EscalationPolicy(levels=levels, repeat=repeat, hold_page_for=hold)


WAITS = st.lists(st.integers(0, 600).map(lambda s: timedelta(seconds=s)), min_size=1, max_size=4)


class Climbing(RuleBasedStateMachine):
    """A ladder that is asked now and then, on time or late, as by a worker that may be down."""

    @initialize(waits=WAITS, repeat=st.integers(0, 3))
    def start(self, waits, repeat):
        self.policy = policy(*waits, repeat=repeat)
        self.now = START
        self.ladder = Ladder.starting(self.policy, at=self.now)
        self.paged = []

    @rule(seconds=st.integers(0, 1000))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.ladder.next_at is not None)
    @rule()
    def wait_until_its_turn(self):
        self.now = max(self.now, self.ladder.next_at)

    @rule()
    def ask(self):
        page = self.ladder.due(self.now)
        if page is None:
            assert self.ladder.next_at is None or self.now < self.ladder.next_at
            return
        self.paged.append((page, self.now))
        self.ladder = self.ladder.climbed(self.now)

    @invariant()
    def levels_come_in_order_and_none_is_left_out(self):
        count = len(self.policy.levels)
        expected = [(n % count + 1, n // count + 1) for n in range(len(self.paged))]
        assert [(page.level, page.round) for page, _ in self.paged] == expected

    @invariant()
    def a_page_goes_to_the_targets_of_its_level(self):
        for page, _ in self.paged:
            assert page.targets == self.policy.levels[page.level - 1].targets

    @invariant()
    def each_level_gets_its_full_wait(self):
        for (page, at), (_, following) in zip(self.paged, self.paged[1:], strict=False):
            assert following - at >= self.policy.levels[page.level - 1].escalate_after

    @invariant()
    def the_ladder_is_climbed_as_often_as_promised_and_then_done(self):
        promised = len(self.policy.levels) * (self.policy.repeat + 1)
        assert len(self.paged) <= promised
        assert (self.ladder.next_at is None) is (len(self.paged) == promised)

    @invariant()
    def a_ladder_survives_a_restart(self):
        assert Ladder.model_validate_json(self.ladder.model_dump_json()) == self.ladder


TestClimbing = Climbing.TestCase


@given(WAITS, st.integers(0, 3))
def test_a_punctual_ladder_takes_exactly_its_waits(waits, repeat):
    """Asked whenever it wants to be, it pages every level with just its wait between."""
    ladder = Ladder.starting(policy(*waits, repeat=repeat), at=START)
    times = []
    while ladder.next_at is not None:
        times.append(ladder.next_at)
        assert ladder.due(times[-1])
        ladder = ladder.climbed(times[-1])
    expected, at = [], START
    for wait in [*waits] * (repeat + 1):
        expected.append(at)
        at += wait
    assert times == expected


def test_a_late_ladder_still_waits_its_full_time():
    """A worker that was down for an hour must not page two levels at once."""
    ladder = Ladder.starting(policy(timedelta(minutes=5), timedelta(minutes=5)), at=START)
    late = START + timedelta(hours=1)
    climbed = ladder.climbed(late)
    assert climbed.due(late) is None
    assert climbed.next_at == late + timedelta(minutes=5)


@pytest.mark.parametrize("wrong", [{"levels": []}, {"levels": [{"targets": []}]}])
def test_a_policy_that_would_page_nobody_is_refused(wrong):
    """It would look like an escalation and be none."""
    with pytest.raises(ValidationError):
        EscalationPolicy.model_validate(wrong)


def chosen(rules, *, category="network", severity="high", service="channels", policies=None):
    classification = Classification(category=category, severity=severity, reason="")
    return choose_policy(
        service=service,
        classification=classification,
        rules=[EscalationRule.model_validate(each) for each in rules],
        policies={"default": policy(timedelta(0)), "night": policy(timedelta(0))}
        if policies is None
        else policies,
    )


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
    ],
)
def test_a_rule_fits_when_all_that_it_gives_holds(asked, fits):
    """What it leaves out does not matter."""
    assert chosen([{"policy": "night"} | asked]).name == ("night" if fits else "default")


def test_the_first_rule_that_fits_chooses():
    """The reason names it by its place."""
    choice = chosen(
        [{"policy": "night", "severity": ["low"]}, {"policy": "night"}, {"policy": "default"}]
    )
    assert (choice.name, choice.reason) == ("night", "escalation rule 2 chose 'night'")


def test_a_rule_may_shorten_the_hold():
    """The most severe need not wait for recovery."""
    assert chosen([{"policy": "night", "hold_page_for": "0s"}]).hold_page_for == timedelta(0)
    assert chosen([{"policy": "night"}]).hold_page_for == timedelta(minutes=2)


def test_without_a_rule_the_default_policy_is_followed():
    """Whoever names one policy ``default`` needs no rules."""
    choice = chosen([])
    assert (choice.name, choice.hold_page_for) == ("default", timedelta(minutes=2))


def test_without_a_default_nobody_is_paged():
    """The caller must say so, rather than fail."""
    assert chosen([], policies={}) is None


@pytest.mark.parametrize(("to", "text"), [("#ops", "slack (#ops)"), (None, "slack")])
def test_a_target_reads_as_people_call_it(to, text):
    """Channel, and address if it has its own."""
    assert str(Target(channel="slack", to=to)) == text

"""What is due when, whatever people, recovery and the world do to an incident meanwhile."""

from datetime import timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from holdfast.domain.duty import duty, wakes_at
from holdfast.domain.escalation import EscalationLevel, EscalationPolicy
from holdfast.domain.incident_status import Resolution
from holdfast.domain.outlook import upcoming
from holdfast.domain.page import HoldKind, PageCause, PageHold
from holdfast.domain.target import Target
from holdfast.errors import Conflict
from tests.domain.nights import ADA, BOB, EVENING, MINUTE, Night, chosen, person

ON_CALL = Target(schedule="primary")
TARGETS = st.sampled_from([person("ada"), person("bob", mandatory=False), ON_CALL])
MINUTES = st.integers(1, 10).map(lambda count: count * MINUTE)
POLICIES = st.builds(
    EscalationPolicy,
    levels=st.lists(
        st.builds(
            EscalationLevel,
            targets=st.lists(TARGETS, min_size=1, max_size=2, unique_by=str).map(tuple),
            escalate_after=MINUTES,
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    repeat=st.integers(0, 2),
    hold_page_for=st.sampled_from([timedelta(0), 2 * MINUTE]),
    acknowledgement_timeout=st.sampled_from([timedelta(0), 15 * MINUTE]),
    remind_before=st.sampled_from([timedelta(0), 5 * MINUTE, 20 * MINUTE]),
)
CHOICES = st.builds(lambda given: chosen(given, hold_page_for=given.hold_page_for), POLICIES)
ASKED_FOR = {PageCause.URGED, PageCause.REASSIGNED}


class Nights(RuleBasedStateMachine):
    """One incident, to which everything happens in any order and at any time.

    Beside it runs a count of its own: whose turn is next and when at the earliest, whom the last
    page may still reach, and what the next page has to tell.
    """

    @initialize(choice=st.none() | CHOICES)
    def open(self, choice):
        self.night = Night(choice, on_page=self.check_page, on_failed=self.count_failure)
        self.turn = (0, 1) if choice else None
        self.earliest = EVENING
        self.number = 0
        self.last = None
        self.left = set()
        self.untold = set()
        self.asked_for = None
        self.at_once = []

    def check_page(self, page):
        night = self.night
        assert night.nobody_has_it
        self.number += 1
        assert page.number == self.number
        assert set(page.unreached) == self.untold
        assert page.cause in ASKED_FOR or not (night.hold and night.now < night.hold.until)
        assert self.asked_for in {None, page.cause}
        self.untold, self.asked_for = set(), None
        match page.cause:
            case PageCause.LEVEL | PageCause.URGED:
                self._check_turn(page)
            case PageCause.RESUMED:
                assert (page.level, page.targets) == (self.last.level, self.last.targets)
            case PageCause.REASSIGNED:
                assert [str(each) for each in page.targets] == [night.incident.custody.assigned_to]
            case PageCause.SHIFT:
                assert page.targets == tuple(t for t in self.last.targets if t == ON_CALL)
        if page.cause is not PageCause.SHIFT:
            self.last, self.left = page, set(range(len(page.targets)))
        levels = night.ladder.policy.levels
        self.earliest = night.now + levels[min(page.level, len(levels)) - 1].escalate_after

    def _check_turn(self, page):
        place, round_ = self.turn
        given = self.night.ladder.policy
        assert (page.level, page.round) == (place + 1, round_)
        assert page.targets == given.levels[place].targets
        if page.cause is PageCause.LEVEL:
            assert self.night.now >= self.earliest
            self.at_once.append(page.round)
        place += 1
        if place == len(given.levels):
            place, round_ = 0, round_ + 1
        self.turn = None if round_ > given.repeat + 1 else (place, round_)

    def count_failure(self, page, place, problem):
        told = {problem} if page.targets[place].mandatory else set()
        if page.number == self.last.number and place in self.left:
            self.left.discard(place)
            if not self.left:
                told |= set(page.unreached)
                if self.turn and (self.turn[0] > 0 or self.turn == (0, 1)):
                    self.earliest = self.night.now
        self.untold |= told

    @property
    def is_over(self):
        return self.night.incident.is_resolved

    @rule(minutes=st.integers(0, 20))
    def pass_time_with_nobody_at_work(self, minutes):
        self.night.passes(minutes * MINUTE)

    @rule()
    def sleep_until_something_is_due(self):
        self.night.works()
        if wakes := wakes_at(self.night.incident, self.night.ladder):
            self.night.now = max(self.night.now, wakes)
            self.night.works()

    @rule()
    def work(self):
        self.at_once = []
        self.night.works()
        assert len(set(self.at_once)) <= 1
        if self.night.nobody_has_it:
            assert self.asked_for is None

    @rule(by=st.sampled_from([ADA, BOB]))
    def acknowledge(self, by):
        if self.is_over or self.night.incident.is_acknowledged:
            with pytest.raises(Conflict):
                self.night.acknowledge(by)
        else:
            self.night.acknowledge(by)
            self.asked_for = None

    @precondition(lambda self: not self.is_over)
    @rule()
    def unacknowledge(self):
        if self.night.nobody_has_it:
            with pytest.raises(Conflict):
                self.night.give_back()
        else:
            self.night.give_back()

    @precondition(lambda self: not self.is_over)
    @rule(minutes=st.integers(1, 60))
    def snooze(self, minutes):
        now = self.night.now
        self.night.incident = self.night.incident.snoozed(ADA, until=now + minutes * MINUTE, at=now)
        self.asked_for = None

    @precondition(lambda self: not self.is_over and self.night.ladder)
    @rule()
    def escalate_now(self):
        if self.turn is None:
            with pytest.raises(Conflict, match="was paged already"):
                self.night.hurry()
        else:
            self.night.hurry()
            self.asked_for = PageCause.URGED

    @precondition(lambda self: not self.is_over)
    @rule(to=st.sampled_from([person("carol"), ON_CALL]))
    def reassign(self, to):
        if self.night.ladder is None:
            self.turn, self.asked_for = (0, 1), PageCause.URGED
        else:
            self.asked_for = PageCause.REASSIGNED
        self.night.reassign(to)

    @precondition(lambda self: self.last)
    @rule(place=st.integers(0, 1), before=st.integers(0, 2))
    def fail_to_reach_somebody(self, place, before):
        page, _ = self.night.sent[max(0, len(self.night.sent) - 1 - before)]
        place = min(place, len(page.targets) - 1)
        self.night.fails(page, place, f"{page.targets[place]} ({page.number})")

    @rule(names=st.sets(st.sampled_from(["ada", "bob", "carol", "on call: primary"])))
    def know_nobody_behind(self, names):
        self.night.nobody = names

    @rule(kind=st.sampled_from(HoldKind), minutes=st.integers(1, 30))
    def hold_pages(self, kind, minutes):
        until = self.night.now + minutes * MINUTE
        self.night.hold = PageHold(kind=kind, until=until, reason=f"{kind}")

    @precondition(lambda self: self.night.ladder)
    @rule(kinds=st.sets(st.sampled_from(HoldKind), min_size=1))
    def release_what_holds(self, kinds):
        self.night.release(*kinds)

    @precondition(lambda self: self.night.ladder and not self.is_over)
    @rule(choice=CHOICES)
    def switch_to_a_louder_policy(self, choice):
        self.night.switch(choice)
        self.turn, self.earliest = (0, 1), self.night.now

    @rule(minutes=st.none() | st.integers(1, 30))
    def change_shifts(self, minutes):
        self.night.shift_ends_at = minutes and self.night.now + minutes * MINUTE

    @precondition(lambda self: not self.is_over)
    @rule()
    def resolve(self):
        self.night.incident = self.night.incident.resolved(
            Resolution.PERSON, by="ada", at=self.night.now
        )

    @rule()
    def restart(self):
        before = (self.night.incident, self.night.ladder)
        self.night.restart()
        assert (self.night.incident, self.night.ladder) == before

    @invariant()
    def what_is_untold_is_kept(self):
        if self.night.ladder:
            assert sorted(self.night.ladder.unreached) == sorted(self.untold)

    @invariant()
    def the_ladder_is_climbed_as_often_as_promised_and_then_done(self):
        if self.night.ladder:
            assert (self.night.ladder.next_at is None) is (self.turn is None)

    @invariant()
    def it_wakes_exactly_when_something_is_due(self):
        incident, ladder, now = self.night.incident, self.night.ladder, self.night.now
        if duty(incident, ladder, now=now):
            return
        wakes = wakes_at(incident, ladder)
        if wakes is None:
            assert duty(incident, ladder, now=now + timedelta(days=3650)) is None
        else:
            assert wakes > now
            assert duty(incident, ladder, now=wakes)
            assert duty(incident, ladder, now=wakes - timedelta(microseconds=1)) is None
        coming = upcoming(incident)
        assert (coming and coming.at) == wakes


TestNights = Nights.TestCase

"""Random histories of guarded calls in one process, against a simple model of a breaker."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from holdfast.client.judgement import Verdict
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.errors import BreakerOpen
from tests.client.machines.breaker_model import LEASE_FOR, LEASES, MINIMUM, Model
from tests.client.process import SERVICE, Process

RULES = BreakerRules(
    window=timedelta(minutes=10),
    minimum_calls=MINIMUM,
    leases=LEASES,
    lease_for=timedelta(seconds=LEASE_FOR),
    ramp=(),
)
ENDS = {"passed": Verdict.PASSED, "failed": Verdict.FAILED, "cancelled": Verdict.UNCOUNTED}
# The clock stands still, creeps, and jumps past the open time, a lease, and the grace.
STEPS = st.sampled_from([0, 0, 0.5, 1, 4, 9.5, 10, 15, 15.5, 40])


class BreakerMachine(RuleBasedStateMachine):
    calls = Bundle("calls")

    def __init__(self):
        super().__init__()
        self.process = Process(rules=RULES)
        self.model = Model(heard=("closed", 1))
        self.model.look()

    @rule(seconds=STEPS, in_contact=st.booleans())
    def time_passes(self, seconds, in_contact):
        self.process.clock.advance(timedelta(seconds=seconds))
        self.model.now += seconds
        if in_contact:
            self.process.switchboard.contact()
            self.model.contact_at = self.model.now
            self.model.look()

    @rule(status=st.sampled_from(BreakerStatus))
    def the_fleet_changes(self, status):
        self.process.hear(status)
        self.model.heard = (status.value, self.process.epoch)
        self.model.contact_at = self.model.now
        self.model.look()

    @rule(target=calls)
    def a_call_begins(self):
        expected = self.model.admit()
        admitted = None
        with suppress(BreakerOpen):
            admitted = self.process.breaker.passing or self.process.breaker.admit()
        assert (admitted is None) is (expected is None)
        assert admitted is None or (expected.lease is None) is (admitted.edge > 0)
        return admitted, expected

    @rule(call=consumes(calls), how=st.sampled_from([*ENDS, "failed"]))
    def a_call_ends(self, call, how):
        """Also long after the state in which it was let through."""
        admitted, expected = call
        if expected is None:
            return
        at = self.process.clock()
        if how == "passed" and at < admitted.edge:
            admitted.count()
        else:
            self.process.breaker.settle(admitted, ENDS[how], took=0.0)
        self.model.end(expected, how)

    @rule(times=st.integers(1, 6), how=st.sampled_from(["passed", "failed"]))
    def calls_are_made_in_a_row(self, times, how):
        for _ in range(times):
            self.a_call_ends(self.a_call_begins(), how)

    @rule(granted=st.booleans(), seconds=st.sampled_from([1, 10]))
    def leases_are_answered(self, granted, seconds):
        self.model.look()
        for service, request in self.process.switchboard.wanted_leases():
            assert request.epoch == self.model.fleet[1]
            expires_in = timedelta(seconds=seconds) if granted else None
            self.process.switchboard.lease_answered(service, request, expires_in)
            if granted and self.model.fleet[0] == "half_open":
                self.model.spare.append((request.lease_id, self.model.now + seconds))

    @rule()
    def outcomes_are_taken(self):
        batch = self.process.told()
        expected, probes = self.model.take(), self.model.take_probes()
        outcomes = batch.outcomes if batch else ()
        assert sum(each.calls for each in outcomes) == expected[0]
        assert sum(each.failures for each in outcomes) == expected[1]
        assert {each.epoch for each in outcomes} <= {self.model.fleet[1]}
        results = batch.probes if batch else ()
        assert [(each.service, each.passed) for each in results] == [
            (SERVICE, passed) for _, passed in probes
        ]

    @invariant()
    def it_stands_as_the_model_does(self):
        self.model.look()
        assert self.process.status.value == self.model.status


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("part", range(4))
def test_thousands_of_histories(part):
    """The same steps without hypothesis's bookkeeping, which takes most of the time."""
    for seed in range(part * 500, part * 500 + 500):
        chance = random.Random(seed)
        machine, calls = BreakerMachine(), []
        for _ in range(40):
            match chance.randrange(7):
                case 0:
                    step = chance.choice([0, 0.5, 1, 4, 9.5, 10, 15.5])
                    machine.time_passes(seconds=step, in_contact=chance.random() < 0.7)
                case 1 if chance.random() < 0.4:
                    machine.the_fleet_changes(status=chance.choice(list(BreakerStatus)))
                case 2 | 1:
                    calls.append(machine.a_call_begins())
                case 3 if calls:
                    call = calls.pop(chance.randrange(len(calls)))
                    machine.a_call_ends(call=call, how=chance.choice([*ENDS, "failed"]))
                case 4:
                    how = chance.choice(["passed", "failed"])
                    machine.calls_are_made_in_a_row(times=chance.randint(1, 6), how=how)
                case 5:
                    machine.leases_are_answered(granted=chance.random() < 0.7, seconds=10)
                case _:
                    machine.outcomes_are_taken()
            machine.it_stands_as_the_model_does()

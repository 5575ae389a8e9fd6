"""Fifty processes and one fleet's breaker in half-open, with messages that come late or never."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest

from holdfast.client.judgement import Verdict
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.guidance import ServiceGuidance
from holdfast.domain.holds import Hold
from holdfast.errors import BreakerOpen
from holdfast.testing import ManualClock
from tests.client.process import SERVICE, Process

RULES = BreakerRules(leases=3, lease_for=timedelta(seconds=10), ramp=())
PROCESSES = 50


class Fleet:
    """The breaker's workflow, the processes, and the calls that are under way in them."""

    def __init__(self, seed, *, leaks=0.1):
        self.leaks = leaks
        self.chance = random.Random(seed)
        self.clock = ManualClock()
        self.breaker = CircuitBreaker(service=SERVICE, rules=RULES)
        self.processes = [
            Process(reporter=f"process-{number}", clock=self.clock, heard=False)
            for number in range(PROCESSES)
        ]
        self.under_way = []
        self.probed = 0
        hold = Hold(incident_id="i", reason="down", since=self.clock.now)
        self.become(self.breaker.held(hold, at=self.clock.now))
        self.become(self.breaker.released("i", at=self.clock.now))

    def become(self, breaker):
        changed = breaker.epoch != self.breaker.epoch
        self.breaker = breaker
        if changed:
            for process in self.processes:
                self.tell(process)

    def tell(self, process):
        guidance = ServiceGuidance.of(SERVICE, breaker=self.breaker, degradation=None, rules=RULES)
        process.switchboard.heard([guidance], whole=False)
        process.switchboard.contact()

    def wait(self, seconds):
        self.clock.advance(timedelta(seconds=seconds))
        self.become(self.breaker.advanced(self.clock.now))
        for process in self.processes:
            process.switchboard.contact()

    def call(self, process):
        with suppress(BreakerOpen):
            self.under_way.append((process, process.breaker.admit()))

    def end(self, how):
        process, admitted = self.under_way.pop(self.chance.randrange(len(self.under_way)))
        process.breaker.settle(admitted, how, took=0.0)

    def post(self, process, *, lost):
        """What the process would post; ``lost`` when nobody gets it."""
        wanted, batch = process.switchboard.wanted_leases(), process.told()
        if lost:
            return
        now = self.clock.now
        for service, request in wanted:
            breaker, (lease,) = self.breaker.leased([request], at=now)
            self.become(breaker)
            if self.chance.random() < self.leaks:
                continue  # The answer is lost: a lease that leaks.
            expires_in = lease.expires_at - now if lease else None
            process.switchboard.lease_answered(service, request, expires_in)
        if batch:
            self.become(self.breaker.probed(batch.probes, at=now, drawn=0.5))

    def probes(self):
        """The probe calls under way whose right to be made is theirs still."""
        living = {each.id for each in self.breaker.leases if each.expires_at > self.clock.now}
        admitted = [each for _, each in self.under_way]
        leased = [each.lease_id for each in admitted if each.edge < 0]
        assert len(leased) == len(set(leased))
        return [each for each in leased if each in living]


@pytest.mark.parametrize("seed", range(30))
def test_never_more_probes_are_under_way_than_leases(seed):
    """Whatever hangs, is cancelled, comes late or gets lost; and no lease is used twice at once."""
    fleet = Fleet(seed)
    chance = fleet.chance
    for _ in range(300):
        process = chance.choice(fleet.processes)
        match chance.randrange(8):
            case 0 | 1 | 2:
                fleet.call(process)
            case 3 | 4:
                fleet.post(process, lost=chance.random() < 0.1)
            case 5 if fleet.under_way:
                fleet.end(chance.choice([Verdict.UNCOUNTED, Verdict.PASSED, Verdict.FAILED]))
            case 6 if chance.random() < 0.2:
                fleet.wait(chance.choice([0.1, 1, 5, 10]))
        is_half_open = fleet.breaker.status is BreakerStatus.HALF_OPEN
        most = RULES.leases - fleet.breaker.probes_passed if is_half_open else 0
        assert len(fleet.probes()) <= most


def test_exactly_the_leased_number_gets_through():
    fleet = Fleet(seed=0, leaks=0)
    for process in fleet.processes:
        fleet.call(process)
        fleet.post(process, lost=False)
    assert fleet.under_way == []
    for _ in range(3):
        for process in fleet.processes:
            fleet.call(process)
    assert len(fleet.probes()) == len(fleet.under_way) == RULES.leases


@pytest.mark.parametrize("seed", range(10))
def test_a_service_that_is_well_gets_its_traffic_back(seed):
    """Though a tenth of the leases leaks and a tenth of the probes hangs for good."""
    fleet = Fleet(seed)
    for _ in range(200):
        for process in fleet.processes:
            fleet.call(process)
            fleet.post(process, lost=False)
        while fleet.under_way and fleet.chance.random() < 0.9:
            fleet.end(Verdict.PASSED)
        for process in fleet.processes:
            fleet.post(process, lost=False)
        fleet.wait(1)
        if fleet.breaker.status is BreakerStatus.CLOSED:
            break
    assert fleet.breaker.status is BreakerStatus.CLOSED
    assert all(process.call() == "answer" for process in fleet.processes)

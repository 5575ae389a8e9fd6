"""Whatever happens to a breaker, in whatever order: it does what a simple model of it does."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker, ModeHold
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.outcome import ProbeResult
from holdfast.domain.strategy import Backoff
from tests.domain.breaker_model import Blackboard

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SECONDS = st.sampled_from([0, 0, 0.1, 1, 4, 5, 6, 9.9, 10, 30, 60, 3600]).map(SECOND.__mul__)
INCIDENTS = st.sampled_from("abc")
LEASES = st.sampled_from([f"lease-{number}" for number in range(4)])
AGO = st.sampled_from([0, 0, 0, 0, 1, 2])
PASSED = st.sampled_from([True, True, True, False, None])
CHANCES = st.floats(0, 1, exclude_max=True)
MODES = st.sampled_from([status for status in BreakerStatus if status.is_mode])
RULES = st.builds(
    BreakerRules,
    open_for=st.builds(
        Backoff,
        initial=st.just(5 * SECOND),
        factor=st.sampled_from([1.0, 2.0, 10.0]),
        maximum=st.sampled_from([20 * SECOND, 60 * SECOND]),
        jitter=st.sampled_from([0.0, 0.2, 1.0]),
    ),
    leases=st.integers(1, 4),
    lease_for=st.sampled_from([SECOND, 10 * SECOND]),
    idle_after=st.sampled_from([None, 30 * SECOND, 60 * SECOND]),
    ramp=st.sampled_from([(), (0.5,), (0.05, 0.25, 0.5)]),
    ramp_step=st.sampled_from([0 * SECOND, 5 * SECOND, 10 * SECOND]),
)


class Histories(RuleBasedStateMachine):
    """The breaker of a fleet, with all that tells it something; brought up to date before each."""

    @initialize(rules=RULES)
    def begins(self, rules):
        self.now = START
        self.breaker = CircuitBreaker(service="payments").ruled(rules)
        self.board = Blackboard(rules=rules, now=START)

    @rule(rules=RULES)
    def the_policy_file_changes(self, rules):
        self.breaker = self.breaker.ruled(rules)
        self.board.rule(rules)

    @rule(duration=SECONDS)
    def some_time_passes(self, duration):
        self.time_passes(duration)

    def time_passes(self, duration):
        self.now += duration
        self.breaker = self.breaker.advanced(self.now)
        self.board.pass_time(self.now, probes=self.breaker.status is BreakerStatus.HALF_OPEN)

    @precondition(lambda self: self.breaker.due_at)
    @rule()
    def its_time_comes(self):
        self.time_passes(max(self.breaker.due_at - self.now, timedelta(0)))

    @rule(ago=AGO | st.just(-3), drawn=CHANCES)
    def calls_fail(self, ago, drawn):
        epoch = self.board.epoch - ago
        self.breaker = self.breaker.tripped("why", epoch=epoch, at=self.now, drawn=drawn)
        self.board.trip(epoch)

    @rule(incident=INCIDENTS)
    def an_incident_holds_it(self, incident):
        self.breaker = self.breaker.held(
            Hold(incident_id=incident, reason="why", since=self.now), at=self.now
        )
        self.board.hold(incident)

    @rule(incident=INCIDENTS)
    def an_incident_is_over(self, incident):
        self.breaker = self.breaker.released(incident, at=self.now)
        self.board.release(incident)

    @rule(asked=st.lists(st.tuples(LEASES, AGO), min_size=1, max_size=6))
    def processes_ask_for_leases(self, asked):
        epoch = self.board.epoch
        requests = [
            LeaseRequest(lease_id=lease, reporter=f"of-{lease}", epoch=max(0, epoch - ago))
            for lease, ago in asked
        ]
        self.breaker, given = self.breaker.leased(requests, at=self.now)
        expected = [self.board.lease(each.lease_id, each.epoch) for each in requests]
        assert [lease is not None for lease in given] == expected
        for request, lease in zip(requests, given, strict=True):
            assert lease is None or (lease.id, lease.reporter) == (
                request.lease_id,
                request.reporter,
            )

    @rule(told=st.lists(st.tuples(LEASES, AGO, PASSED), min_size=1, max_size=4), drawn=CHANCES)
    def results_are_told(self, told, drawn):
        epoch = self.board.epoch
        results = [
            ProbeResult(service="payments", epoch=max(0, epoch - ago), lease_id=id_, passed=passed)
            for id_, ago, passed in told
        ]
        self.breaker = self.breaker.probed(results, at=self.now, drawn=drawn)
        for each in results:
            self.board.result(each)

    @precondition(lambda self: self.breaker.leases)
    @rule(data=st.data(), ago=AGO, passed=PASSED, drawn=CHANCES)
    def a_probe_ends(self, data, ago, passed, drawn):
        lease = data.draw(st.sampled_from(sorted(each.id for each in self.breaker.leases)))
        self.results_are_told([(lease, ago, passed)], drawn)

    @rule(mode=MODES, ends_in=st.none() | st.sampled_from([SECOND, 30 * SECOND]))
    def an_operator_holds_it(self, mode, ends_in):
        until = self.now + ends_in if ends_in else None
        hold = ModeHold(by="ada", reason="why", since=self.now, until=until)
        self.breaker = self.breaker.set_mode(mode, hold)
        self.board.set_mode(mode, until)

    @rule()
    def an_operator_gives_it_back(self):
        self.breaker = self.breaker.mode_ended("why", at=self.now)
        self.board.end_mode()

    @invariant()
    def it_is_what_it_should_be(self):
        breaker, board = self.breaker, self.board
        assert (breaker.status, breaker.epoch, breaker.since) == (
            board.status,
            board.epoch,
            board.since,
        )
        assert [hold.incident_id for hold in breaker.holds] == board.holds
        assert {lease.id: lease.expires_at for lease in breaker.leases} == board.living
        assert breaker.probes_passed == board.passed
        assert breaker.share == board.share

    @invariant()
    def no_more_probes_than_leased_are_made(self):
        probes = len(self.breaker.leases) + self.breaker.probes_passed
        assert probes <= max(self.board.most, self.breaker.rules.leases)

    @invariant()
    def what_is_held_makes_no_probes(self):
        if self.breaker.holds and not self.breaker.status.is_mode:
            assert self.breaker.status is BreakerStatus.OPEN
            assert self.breaker.due_at is None

    @invariant()
    def it_stays_open_within_its_bounds(self):
        if self.board.opens_for is None:
            assert self.breaker.probes_at is None
            return
        earliest, latest = self.board.opens_for
        tolerance = timedelta(milliseconds=1)
        open_for = self.breaker.probes_at - self.breaker.since
        assert earliest - tolerance <= open_for <= latest + tolerance

    @invariant()
    def what_was_due_is_done(self):
        advanced = self.breaker.advanced(self.now)
        assert advanced.due_at is None or advanced.due_at > self.now
        assert advanced.advanced(self.now) == advanced

    @invariant()
    def it_survives_being_carried_to_the_next_run(self):
        carried = CircuitBreaker.model_validate_json(self.breaker.model_dump_json())
        assert carried == self.breaker


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=2000, stateful_step_count=30)

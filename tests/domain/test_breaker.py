"""A breaker by its rules: what opens it, and the careful way back."""

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker, ModeHold
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.outcome import ProbeResult
from holdfast.domain.strategy import Backoff

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STEADY = BreakerRules(open_for=Backoff(initial=5 * SECOND, maximum=60 * SECOND, jitter=0.0))


def closed(**rules):
    return CircuitBreaker(service="payments", rules=STEADY.model_copy(update=rules))


def hold(incident_id="a"):
    return Hold(incident_id=incident_id, reason=f"incident {incident_id}", since=START)


def trip(breaker, at=START):
    return breaker.tripped("20 of 20 calls failed", epoch=breaker.epoch, at=at, drawn=0.5)


def half_open(**rules):
    return trip(closed(**rules)).advanced(START + 5 * SECOND)


def asked(breaker, *leases, at=START + 5 * SECOND, epoch=None):
    requests = [
        LeaseRequest(lease_id=each, reporter=f"of-{each}", epoch=epoch or breaker.epoch)
        for each in leases
    ]
    return breaker.leased(requests, at=at)


def told(breaker, lease, *, passed, at=START + 6 * SECOND, epoch=None):
    result = ProbeResult(
        service="payments", epoch=epoch or breaker.epoch, lease_id=lease, passed=passed
    )
    return breaker.probed([result], at=at, drawn=0.5)


def mode(until=None, at=START):
    return ModeHold(by="ada", reason="deploying", since=at, until=until)


def test_it_opens_for_a_while_and_says_why():
    """Everybody sees when it will probe."""
    breaker = trip(closed())
    assert (breaker.status, breaker.epoch) == (BreakerStatus.OPEN, 1)
    assert breaker.reason == "20 of 20 calls failed"
    assert breaker.probes_at == breaker.due_at == START + 5 * SECOND


def test_calls_of_an_earlier_epoch_open_nothing():
    """They say how it was before, not how it is."""
    breaker = half_open(leases=1)
    late = breaker.epoch
    breaker, _ = asked(breaker, "one")
    breaker = told(breaker, "one", passed=True)
    assert breaker.tripped("why", epoch=late, at=START, drawn=0.5) is breaker


def test_each_opening_in_a_row_is_longer_up_to_the_maximum():
    """A service that is still ill after five seconds is not well after five more."""
    breaker, at, lengths = trip(closed()), START, []
    for number in range(6):
        lengths.append((breaker.probes_at - at) // SECOND)
        at = breaker.probes_at
        breaker, _ = asked(breaker.advanced(at), f"lease-{number}", at=at)
        breaker = told(breaker, f"lease-{number}", passed=False, at=at)
    assert lengths == [5, 10, 20, 40, 60, 60]


def test_an_opening_is_forgiven_for_each_maximum_that_it_was_well():
    """Last week's trouble does not lengthen today's."""
    breaker, at = closed(leases=1, ramp=()), START
    for _ in range(3):
        breaker = trip(breaker, at)
        at = breaker.probes_at
        breaker, _ = asked(breaker.advanced(at), "one", at=at)
        breaker = told(breaker, "one", passed=True, at=at)
    assert trip(breaker, at).trips == 4
    assert trip(breaker, at + 61 * SECOND).trips == 3
    assert trip(breaker, at + timedelta(days=7)).trips == 1
    assert trip(breaker, at - timedelta(days=7)).trips == 4


def test_the_jitter_keeps_fleets_from_probing_together():
    """From 80 % to 120 % of the time."""
    jittery = closed(open_for=Backoff(initial=10 * SECOND, jitter=0.2))
    earliest = jittery.tripped("why", epoch=0, at=START, drawn=0.0)
    latest = jittery.tripped("why", epoch=0, at=START, drawn=0.999)
    assert earliest.probes_at - START == 8 * SECOND
    assert 11.9 * SECOND < latest.probes_at - START < 12 * SECOND


def test_half_open_leases_exactly_as_many_probes_as_it_has():
    """Fifty that ask at once are not fifty calls on a service that just came back."""
    breaker, given = asked(half_open(), *(f"lease-{number}" for number in range(50)))
    assert [lease is not None for lease in given] == [True] * 3 + [False] * 47
    assert len(breaker.leases) == 3


def test_a_lease_that_is_asked_for_again_is_the_same():
    """An answer that was lost on its way costs no second place."""
    breaker, (first,) = asked(half_open(), "one")
    again, (second,) = asked(breaker, "one", at=START + 8 * SECOND)
    assert (second, again) == (first, breaker)


def test_a_leaked_lease_frees_itself():
    """Who died with it does not keep the breaker from closing."""
    breaker, _ = asked(half_open(leases=1), "lost")
    assert asked(breaker, "next", at=START + 14 * SECOND)[1] == (None,)
    breaker, (lease,) = asked(breaker, "next", at=START + 15 * SECOND)
    assert lease.id == "next"
    assert breaker.leases == (lease,)


def test_a_breaker_that_began_anew_takes_its_callers_epoch_over():
    """Its workflow may be ended by hand; what callers know must not look late for ever."""
    breaker = closed().tripped("20 of 20 calls failed", epoch=7, at=START, drawn=0.5)
    assert (breaker.status, breaker.epoch) == (BreakerStatus.OPEN, 8)


def test_half_open_closes_when_nobody_has_a_probe_to_make():
    """A service that nobody calls would else be half-open for ever."""
    breaker = half_open(idle_after=60 * SECOND)
    assert breaker.due_at == START + 65 * SECOND
    closed_by_itself = breaker.advanced(START + 65 * SECOND)
    assert closed_by_itself.status is BreakerStatus.CLOSED
    assert closed_by_itself.share == 0.05


def test_a_probe_under_way_keeps_it_half_open():
    """The time without callers begins when the last lease ends."""
    breaker, _ = asked(half_open(idle_after=20 * SECOND), "lost", at=START + 20 * SECOND)
    assert breaker.advanced(START + 49 * SECOND).status is BreakerStatus.HALF_OPEN
    assert breaker.advanced(START + 50 * SECOND).status is BreakerStatus.CLOSED


def test_half_open_waits_for_a_probe_where_it_is_to():
    """In a process that decides alone, the next call is the probe, whenever it comes."""
    rules = STEADY.local
    breaker = trip(CircuitBreaker(service="payments", rules=rules)).advanced(START + 10 * SECOND)
    assert (breaker.status, breaker.due_at) == (BreakerStatus.HALF_OPEN, None)


def test_no_lease_outside_of_half_open_or_for_another_epoch():
    """Who asks late knows of an epoch that is over."""
    assert asked(closed(), "one")[1] == (None,)
    assert asked(trip(closed()), "one")[1] == (None,)
    assert asked(half_open(), "one", epoch=7)[1] == (None,)


def test_enough_passed_probes_close_it_and_traffic_returns_by_steps():
    """All at once would bring the overload back."""
    breaker, _ = asked(half_open(), "one", "two", "three")
    for lease in ("one", "two"):
        breaker = told(breaker, lease, passed=True)
    assert breaker.status is BreakerStatus.HALF_OPEN
    breaker = told(breaker, "three", passed=True)
    at, shares = START + 6 * SECOND, []
    while breaker.due_at:
        shares.append(breaker.share)
        assert breaker.due_at == at + 10 * SECOND
        at = breaker.due_at
        breaker = breaker.advanced(at)
    assert shares == [0.05, 0.25, 0.5]
    assert (breaker.status, breaker.share, breaker.epoch) == (BreakerStatus.CLOSED, 1.0, 3)


def test_after_an_outage_of_its_own_the_ramp_goes_on_by_one_step():
    """An hour without anybody who let calls through was no hour of proof."""
    breaker, _ = asked(half_open(leases=1), "one")
    breaker = told(breaker, "one", passed=True).advanced(START + timedelta(hours=1))
    assert breaker.share == 0.25


def test_half_open_reopens_on_the_first_failed_probe():
    """One is enough, whatever the others did."""
    breaker, _ = asked(half_open(), "one", "two")
    breaker = told(told(breaker, "one", passed=True), "two", passed=False)
    assert (breaker.status, breaker.leases, breaker.trips) == (BreakerStatus.OPEN, (), 2)
    assert breaker.reason == "a probe call failed"


def test_a_probe_that_came_to_no_end_gives_its_lease_back():
    """A cancelled call says nothing of the service, neither good nor bad."""
    breaker, _ = asked(half_open(leases=1), "one")
    breaker = told(breaker, "one", passed=None)
    assert (breaker.status, breaker.leases) == (BreakerStatus.HALF_OPEN, ())
    assert asked(breaker, "two")[1] != (None,)


@pytest.mark.parametrize("passed", [True, False, None])
def test_late_results_change_nothing(passed):
    """After the lease, of another epoch, told twice, or of nobody."""
    breaker, _ = asked(half_open(), "one")
    assert told(breaker, "one", passed=passed, at=START + 15 * SECOND) == breaker
    assert told(breaker, "one", passed=passed, epoch=1) == breaker
    assert told(breaker, "stranger", passed=passed) == breaker
    once = told(breaker, "one", passed=True)
    assert told(once, "one", passed=passed) == once


def test_while_an_incident_holds_it_no_probe_is_made():
    """The incident knows when the service may be asked again."""
    breaker = trip(closed()).held(hold(), at=START)
    assert (breaker.reason, breaker.due_at) == ("incident a", None)
    assert breaker.advanced(START + timedelta(days=1)).status is BreakerStatus.OPEN


def test_the_last_release_starts_the_way_back():
    """Two incidents that need it open are two reasons; one going leaves the other."""
    breaker = closed().held(hold("a"), at=START).held(hold("b"), at=START)
    breaker = breaker.released("b", at=START)
    assert (breaker.status, breaker.reason) == (BreakerStatus.OPEN, "incident a")
    breaker = breaker.released("a", at=START)
    assert (breaker.status, breaker.epoch) == (BreakerStatus.HALF_OPEN, 2)
    assert breaker.released("a", at=START) == breaker


def test_a_release_of_nothing_does_not_shorten_an_opening():
    """It was the fleet that opened it, no incident."""
    breaker = trip(closed())
    assert breaker.released("a", at=START) == breaker


@pytest.mark.parametrize(
    ("status", "then"),
    [
        (BreakerStatus.FORCED_OPEN, BreakerStatus.HALF_OPEN),
        (BreakerStatus.DISABLED, BreakerStatus.CLOSED),
        (BreakerStatus.METRICS_ONLY, BreakerStatus.CLOSED),
    ],
)
def test_a_mode_ends_by_itself_and_what_was_open_is_probed(status, then):
    """Nobody knows how a service is that was not called."""
    breaker = closed().set_mode(status, mode(until=START + 30 * SECOND))
    assert breaker.advanced(START + 29 * SECOND) == breaker
    breaker = breaker.advanced(START + 30 * SECOND)
    assert (breaker.status, breaker.mode, breaker.epoch) == (then, None, 2)
    assert breaker.reason == "the time that ada gave it is over"


def test_a_mode_outlasts_trips_holds_and_probes():
    """The operator decides until they give it back; then an incident's hold counts again."""
    breaker = half_open().set_mode(BreakerStatus.DISABLED, mode())
    assert trip(breaker) == breaker
    breaker = breaker.held(hold(), at=START)
    assert (breaker.status, breaker.epoch) == (BreakerStatus.DISABLED, 3)
    breaker = breaker.mode_ended("ada gave it back", at=START)
    assert (breaker.status, breaker.reason) == (BreakerStatus.OPEN, "incident a")


def test_the_same_mode_again_is_no_transition():
    """Only who holds it, why and until when is new: calls go on as they did."""
    breaker = closed().set_mode(BreakerStatus.METRICS_ONLY, mode())
    longer = mode(until=START + 60 * SECOND, at=START + SECOND)
    again = breaker.set_mode(BreakerStatus.METRICS_ONLY, longer)
    assert (again.epoch, again.since, again.due_at) == (1, START, longer.until)


def test_giving_back_what_nobody_holds_changes_nothing():
    """Asked twice, it is done once."""
    breaker = trip(closed())
    assert breaker.mode_ended("why", at=START) is breaker


def test_fewer_leases_than_passed_do_not_leave_it_half_open_for_ever():
    """A policy file that changes meanwhile must leave a probe that closes it."""
    breaker, _ = asked(half_open(), "one", "two")
    breaker = told(told(breaker, "one", passed=True), "two", passed=True)
    breaker, (lease,) = asked(breaker.ruled(STEADY.model_copy(update={"leases": 1})), "three")
    assert told(breaker, lease.id, passed=True).status is BreakerStatus.CLOSED


def test_a_shorter_ramp_ends_one_that_is_past_it():
    """The share that it was at is no longer one of the rules'."""
    breaker, _ = asked(half_open(leases=1), "one")
    breaker = told(breaker, "one", passed=True).advanced(START + 16 * SECOND)
    breaker = breaker.ruled(STEADY.model_copy(update={"ramp": (0.5,)}))
    assert (breaker.share, breaker.due_at) == (1.0, None)

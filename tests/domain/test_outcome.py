"""When the outcomes of guarded calls say that a breaker is to open."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.outcome import REPORTS, Outcomes, verdict

RULES = BreakerRules()
SLOW = BreakerRules(slow_after=timedelta(seconds=2))
CALLS = st.integers(0, 1000)


def calls(count, *, failures=0, slow=0):
    return Outcomes(calls=count, failures=failures, slow=slow)


def fleet(*each):
    return {f"reporter-{number}": outcomes for number, outcomes in enumerate(each)}


def test_twenty_replicas_with_five_failing_calls_each_trip_together():
    """None of them has seen enough by itself."""
    alone = fleet(calls(5, failures=5))
    assert verdict(RULES, alone) is None
    assert verdict(RULES, fleet(*[calls(5, failures=5)] * 20)) == (
        "100 of 100 calls failed within 30 s, as 20 of 20 reporters saw"
    )


@given(st.lists(CALLS.filter(bool), min_size=1, max_size=20), CALLS.filter(bool))
def test_one_reporter_failing_alone_never_trips_a_fleet(healthy, failing):
    """However many calls it makes: the bad node may be itself."""
    others = [calls(count) for count in healthy]
    assert verdict(RULES, fleet(calls(failing, failures=failing), *others)) is None


@given(CALLS)
def test_nor_does_it_by_reporting_its_failures_too(reported):
    """Its guarded calls and its reports are one voice."""
    failing = calls(1000, failures=1000)
    told = fleet(failing, calls(20)) | {REPORTS: calls(reported, failures=reported)}
    assert verdict(RULES, told) is None


@pytest.mark.parametrize(("count", "trips"), [(19, False), (20, True)])
def test_reports_of_a_service_that_nobody_guards_are_enough(count, trips):
    """Then they are all that is known of its calls."""
    told = verdict(RULES, {REPORTS: calls(count, failures=count)})
    assert (told is not None) is trips


def test_reports_add_to_what_a_process_sees():
    """Nineteen failing calls and one more that was only reported."""
    told = fleet(calls(19, failures=19)) | {REPORTS: calls(1, failures=1)}
    assert verdict(RULES, told) == "20 of 20 calls failed within 30 s"


@given(st.lists(CALLS, max_size=10))
def test_fewer_calls_than_the_minimum_say_nothing(counts):
    """Three calls of which two failed are no rate."""
    told = fleet(*[calls(count, failures=count) for count in counts])
    assert (verdict(BreakerRules(minimum_calls=10_001), told)) is None


@pytest.mark.parametrize(("failures", "trips"), [(49, False), (50, True)])
def test_it_opens_from_the_failure_rate_on(failures, trips):
    """The rate is the first that opens, not the last that doesn't."""
    told = verdict(RULES, fleet(*[calls(100, failures=failures)] * 2))
    assert (told is not None) is trips


@pytest.mark.parametrize(("agreeing", "trips"), [(2, False), (3, True)])
def test_a_quorum_of_reporters_must_see_it(agreeing, trips):
    """Of ten at 0.3 it is three, though two make most of the calls."""
    failing = [calls(1000, failures=1000)] * agreeing
    told = verdict(RULES, fleet(*failing, *[calls(10)] * (10 - agreeing)))
    assert (told is not None) is trips


def test_a_quorum_is_not_rounded_past_itself():
    """0.07 of a hundred reporters are seven, whatever floating point makes of it."""
    rules = BreakerRules(quorum=0.07)
    told = fleet(*[calls(1000, failures=1000)] * 7, *[calls(10)] * 93)
    assert verdict(rules, told) is not None


def test_who_makes_no_calls_has_no_voice():
    """Neither for nor against."""
    told = fleet(*[calls(20, failures=20)] * 2, *[calls(0)] * 50)
    assert verdict(RULES, told) == "40 of 40 calls failed within 30 s, as 2 of 2 reporters saw"


def test_slow_calls_open_it_where_there_is_a_limit():
    """A service that answers after a minute is no better than one that fails."""
    told = fleet(*[calls(20, slow=15)] * 2)
    assert verdict(RULES, told) is None
    assert verdict(SLOW, told) == (
        "30 of 40 calls took over 2 s within 30 s, as 2 of 2 reporters saw"
    )
    assert verdict(SLOW, fleet(calls(20, slow=20), calls(20))) is None
    assert verdict(SLOW, fleet(*[calls(20, slow=9)] * 2)) is None


def test_no_calls_are_no_verdict():
    """A window can be empty."""
    assert verdict(RULES, {}) is None


@pytest.mark.parametrize("fields", [{"failures": 3}, {"slow": 3}])
def test_no_more_calls_can_fail_than_were_made(fields):
    """Such a sum would open a breaker that nobody called."""
    with pytest.raises(ValidationError, match="of 2 calls no more"):
        Outcomes(calls=2, **fields)


@given(CALLS, CALLS)
def test_sums_add_up(one, other):
    """What two seconds saw is what their window saw."""
    total = calls(one, failures=one) + calls(other, slow=other)
    assert (total.calls, total.failures, total.slow) == (one + other, one, other)

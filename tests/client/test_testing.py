"""What a service's tests may rely on when they use the fake in place of Holdfast."""

import threading
from datetime import timedelta

import pytest

from holdfast.client import Backoff, BreakerOpen, Holdfast, Retry
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.severity import Severity
from holdfast.testing import FakeHoldfast, ManualClock


@pytest.fixture
def holdfast():
    with FakeHoldfast() as fake:
        yield fake


@pytest.fixture
def charge(holdfast):
    @holdfast.guard("payments")
    def charge(amount):
        if amount < 0:
            raise ValueError(amount)
        return amount

    return charge


def rejected(charge):
    try:
        charge(1)
    except BreakerOpen:
        return True
    return False


def test_it_is_a_holdfast_that_needs_no_holdfast(holdfast, charge):
    assert isinstance(holdfast, Holdfast)
    assert charge(3) == 3
    assert holdfast.feature("hd")
    assert holdfast.flush(timedelta())
    assert holdfast.dropped == 0
    assert not [each for each in threading.enumerate() if each.name.startswith("holdfast")]


def test_reports_are_kept_as_holdfast_would_have_them(holdfast):
    holdfast.report("out of stock", category="api", severity="low", context={"item": 7}, user="kim")
    error = ValueError("price")
    holdfast.report(error, service="stock", labels={"shop": "1"}, fingerprint="price")
    first, second = holdfast.reports
    assert (first.service, first.message) == ("tests", "out of stock")
    assert (first.category, first.severity) == ("api", Severity.LOW)
    assert (first.context, first.user) == ({"item": 7}, "kim")
    assert first.occurred_at == holdfast.clock.now
    assert (second.service, second.error_type) == ("stock", "ValueError")
    assert (second.labels, second.fingerprint) == ({"shop": "1"}, "price")


def test_every_report_is_kept_also_repeats(holdfast):
    for _ in range(3):
        holdfast.report("boom")
    assert len(holdfast.reports) == 3


def test_an_argument_that_no_report_has_is_an_error(holdfast):
    with pytest.raises(TypeError, match="a report has no colour"):
        holdfast.report("boom", colour="red")


def test_an_open_breaker_rejects(holdfast, charge):
    holdfast.open_breaker("payments", reason="the test says so")
    with pytest.raises(BreakerOpen, match="the test says so"):
        charge(1)
    with pytest.raises(BreakerOpen), holdfast.breaker("payments"):
        pytest.fail("entered")
    holdfast.close_breaker("payments")
    assert charge(1) == 1


def test_an_open_breaker_probes_when_its_time_has_come(holdfast, charge):
    holdfast.open_breaker("payments", probes_in=timedelta(minutes=1))
    with pytest.raises(BreakerOpen) as caught:
        charge(1)
    assert caught.value.retry_after == timedelta(minutes=1)
    holdfast.clock.advance(timedelta(minutes=1))
    assert charge(1) == 1
    assert holdfast.breaker("payments").status is BreakerStatus.CLOSED


def test_half_open_lets_so_many_probes_through_and_closes_when_they_pass(holdfast, charge):
    holdfast.half_open_breaker("payments", leases=2)
    assert [charge(1), charge(2)] == [1, 2]
    assert holdfast.breaker("payments").status is BreakerStatus.CLOSED


def test_half_open_opens_when_a_probe_fails(holdfast, charge):
    holdfast.half_open_breaker("payments")
    with pytest.raises(ValueError, match="-1"):
        charge(-1)
    assert rejected(charge)
    assert holdfast.breaker("payments").retry_after == timedelta(seconds=5)
    holdfast.clock.advance(timedelta(seconds=5))
    assert charge(1) == 1


def test_a_second_call_during_the_probe_is_rejected(holdfast, charge):
    holdfast.half_open_breaker("payments")
    with holdfast.breaker("payments"):
        assert rejected(charge)


def test_failures_open_it_as_they_do_in_the_service(holdfast, charge):
    for _ in range(20):
        with pytest.raises(ValueError, match="-1"):
            charge(-1)
    assert rejected(charge)
    holdfast.clock.advance(timedelta(seconds=10))
    assert charge(1) == 1


def test_retries_move_the_clock_instead_of_waiting(holdfast):
    answers = iter([OSError(), OSError(), "answer"])

    @holdfast.guard("payments", retry=Retry(backoff=Backoff(initial=timedelta(hours=1), jitter=0)))
    def call():
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert call() == "answer"
    assert holdfast.clock() == 120


def test_features_are_on_until_the_test_switches_them_off(holdfast):
    holdfast.switch_off("hd", "previews")
    holdfast.switch_off("search", service="shop")
    assert not holdfast.feature("hd")
    assert holdfast.feature("search")
    assert not holdfast.feature("search", service="shop")
    holdfast.switch_on("hd")
    assert holdfast.feature("hd")
    assert not holdfast.feature("previews")


def test_subscribers_hear_of_what_the_test_does(holdfast):
    heard = []
    holdfast.subscribe(heard.append)
    holdfast.switch_off("hd")
    holdfast.open_breaker("payments")
    assert [each.service for each in heard] == ["tests", "payments"]


def test_what_is_forced_holds_however_much_time_passes(holdfast, charge):
    holdfast.open_breaker("payments")
    holdfast.clock.advance(timedelta(days=365))
    assert rejected(charge)


def test_several_share_a_clock():
    clock = ManualClock()
    with FakeHoldfast(clock=clock) as one, FakeHoldfast(service="other", clock=clock) as other:
        clock.advance(timedelta(seconds=3))
        assert one.clock() == other.clock() == 3
        assert other.service == "other"

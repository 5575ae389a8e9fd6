"""Retries: how often, how soon, and when not."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.guard import Guard, Retrying
from holdfast.client.retry import FULL_JITTER, Retry, RetryBudget
from holdfast.client.switchboard import Switchboard
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.strategy import Backoff
from holdfast.errors import BreakerOpen
from holdfast.testing import ManualClock
from tests.client.process import SERVICE, Process, Refused

STEADY = Backoff(initial=timedelta(seconds=1), jitter=0.0)
THRICE = Retry(attempts=3, backoff=STEADY)


@pytest.fixture
def process():
    return Process(rules=BreakerRules(minimum_calls=1000))


class Service:
    """Fails as often as it is told to; counts its calls and notes when they were."""

    def __init__(self, process, failures=10**6, error=Refused):
        self.process = process
        self.failures = failures
        self.error = error
        self.at = []

    def __call__(self):
        self.at.append(self.process.clock())
        if len(self.at) <= self.failures:
            raise self.error
        return "answer"

    async def awaited(self):
        await asyncio.sleep(0)
        return self()


def guarded(process, function, **options):
    return Guard(process.switchboard, SERVICE, **({"retry": THRICE} | options))(function)


def test_it_is_made_again_until_it_goes_well(process):
    service = Service(process, failures=2)
    assert guarded(process, service)() == "answer"
    assert service.at == [0, 1, 3]
    assert process.sums() == (3, 2, 0)


async def test_a_coroutine_function_is_called_again_the_same_way(process):
    service = Service(process, failures=2)
    assert await guarded(process, service.awaited)() == "answer"
    assert service.at == [0, 1, 3]


async def test_waiting_for_a_retry_does_not_hold_the_event_loop():
    switchboard = Switchboard(reporter="me", service=None)
    calls = []

    @Guard(switchboard, SERVICE, retry=Retry(backoff=Backoff(initial=timedelta(minutes=5))))
    async def call():
        calls.append(1)
        raise Refused

    task = asyncio.create_task(call())
    while not calls:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == [1]


def test_the_last_error_is_the_caller_s(process):
    service = Service(process)
    with pytest.raises(Refused):
        guarded(process, service)()
    assert len(service.at) == 3


def test_the_fallback_serves_when_all_attempts_failed(process):
    service = Service(process)
    assert guarded(process, service, fallback="instead")() == "instead"
    assert len(service.at) == 3


def test_a_failing_result_is_asked_for_again(process):
    answers = iter([503, 200])
    function = guarded(process, lambda: next(answers), failure=lambda code: code >= 500)
    assert function() == 200


def test_the_last_failing_result_is_given_after_all(process):
    assert guarded(process, lambda: 503, failure=lambda code: code >= 500)() == 503


def test_other_errors_are_not_retried(process):
    service = Service(process)
    with pytest.raises(Refused):
        guarded(process, service, retry=Retry(on=(LookupError,), backoff=STEADY))()
    assert len(service.at) == 1


def test_an_iterator_that_ends_at_a_later_attempt_still_ends(process):
    answers = iter([Refused(), StopIteration()])

    def call():
        raise next(answers)

    with pytest.raises(StopIteration):
        guarded(process, call, retry=THRICE)()


def test_what_is_ignored_is_not_retried(process):
    service = Service(process)
    with pytest.raises(Refused):
        guarded(process, service, ignore=Refused)()
    assert len(service.at) == 1


def test_a_rejected_call_is_not_retried(process):
    process.hear(BreakerStatus.OPEN)
    service = Service(process)
    with pytest.raises(BreakerOpen):
        guarded(process, service)()
    assert (service.at, process.clock()) == ([], 0)


def test_retries_stop_when_the_breaker_opens():
    """The failure that opened it is the caller's at once, without a wait for nothing."""
    process = Process(rules=BreakerRules(minimum_calls=2))
    service = Service(process)
    with pytest.raises(Refused):
        guarded(process, service)()
    assert service.at == [0, 1]
    assert process.clock() == 1


def test_a_breaker_that_opened_during_the_wait_rejects_with_the_failure_as_cause(process):
    service = Service(process)
    process.switchboard.sleep = lambda _: process.hear(BreakerStatus.OPEN)
    with pytest.raises(BreakerOpen) as caught:
        guarded(process, service)()
    assert isinstance(caught.value.__cause__, Refused)
    assert len(service.at) == 1


def test_an_http_error_says_how_long_to_wait(process):
    request = httpx.Request("GET", "http://payments")
    response = httpx.Response(503, headers={"Retry-After": "7"}, request=request)
    service = Service(process, 1, httpx.HTTPStatusError("busy", request=request, response=response))
    assert guarded(process, service)() == "answer"
    assert service.at == [0, 7]


def test_one_that_asks_for_too_long_a_wait_is_not_retried(process):
    request = httpx.Request("GET", "http://payments")
    response = httpx.Response(429, headers={"Retry-After": "60"}, request=request)
    service = Service(process, 1, httpx.HTTPStatusError("busy", request=request, response=response))
    with pytest.raises(httpx.HTTPStatusError):
        guarded(process, service)()


def test_without_a_breaker_a_call_is_made_again_too(process):
    service = Service(process, failures=2)
    assert Retrying(process.switchboard, THRICE)(service)() == "answer"
    assert service.at == [0, 1, 3]
    assert process.told() is None


def test_without_a_breaker_a_rejected_call_is_not_made_again(process):
    process.hear(BreakerStatus.OPEN)
    inner = Guard(process.switchboard, SERVICE)(Service(process))
    with pytest.raises(BreakerOpen):
        Retrying(process.switchboard, THRICE)(inner)()
    assert process.clock() == 0


def test_guards_share_the_process_s_budget(process):
    """With everything failing, retries are a fifth of the calls, and the reserve."""
    process.switchboard.budget = RetryBudget(per_second=0.0, clock=process.clock)
    services = [Service(process), Service(process)]
    retry = Retry(attempts=2, backoff=Backoff(initial=timedelta()))
    functions = [guarded(process, each, retry=retry, fallback=None) for each in services]
    for _ in range(50):
        for function in functions:
            function()
    assert sum(len(each.at) for each in services) == 120


def test_a_retry_may_have_a_budget_of_its_own(process):
    empty = RetryBudget(share=0.0, per_second=0.0, clock=process.clock)
    service = Service(process)
    guarded(process, service, retry=Retry(budget=empty), fallback=None)()
    assert len(service.at) == 1


def test_the_reserve_lets_a_process_with_few_calls_retry():
    budget = RetryBudget(share=0.0, per_second=1.0, clock=ManualClock())
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]


def test_a_budget_forgets():
    """Both what calls put in and what retries took out."""
    clock = ManualClock()
    budget = RetryBudget(share=1.0, per_second=0.1, clock=clock)
    budget.called()
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    clock.advance(timedelta(seconds=12))
    assert [budget.spend() for _ in range(2)] == [True, False]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=200))
def test_a_budget_is_the_balance_of_the_last_ten_seconds(events):
    """Against a list of all that was put in and taken out; exact in whole seconds."""
    clock = ManualClock()
    budget = RetryBudget(share=0.5, per_second=0.25, clock=clock)
    moved = []
    for is_call, pause in events:
        clock.advance(timedelta(seconds=pause))
        if is_call:
            budget.called()
            moved.append((clock(), 0.5))
            continue
        balance = 2.5 + sum(tokens for at, tokens in moved if at > clock() - 10)
        assert budget.spend() is (balance >= 1)
        if balance >= 1:
            moved.append((clock(), -1))


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_by_default_a_wait_is_drawn_from_zero_to_twice_its_mean(retry, drawn):
    mean = min(0.05 * 2 ** (retry - 1), 5)
    wait = FULL_JITTER.delay(retry, drawn=drawn).total_seconds()
    assert wait == pytest.approx(2 * mean * drawn, abs=1e-5)

"""Guarded functions and passages: what is called, what counts, what is given instead."""

import asyncio
import concurrent.futures
import functools
import gc
import inspect
from contextlib import suppress
from datetime import timedelta

import pytest

from holdfast.client.guard import Guard
from holdfast.client.passage import Passage
from holdfast.client.retry import Retry
from holdfast.domain.breaker import BreakerStatus
from holdfast.errors import BreakerOpen, InvalidInput
from tests.client.process import SERVICE, Process, Refused


class Stop(BaseException):
    """What leaves a call without saying anything of the service."""


@pytest.fixture
def process():
    return Process()


def guard(process, **options):
    return Guard(process.switchboard, SERVICE, **options)


def passage(process):
    return Passage(process.breaker)


@pytest.fixture(params=["def", "async def"])
def guarded(request, process):
    """A function of either kind, guarded and called the same way."""

    def make(body, **options):
        if request.param == "def":
            return guard(process, **options)(body)

        async def waits(*args, **kwargs):
            await asyncio.sleep(0)
            return body(*args, **kwargs)

        function = guard(process, **options)(waits)

        @functools.wraps(function)
        def run(*args, **kwargs):
            return asyncio.run(function(*args, **kwargs))

        return run

    return make


def raising(error):
    def function(*_, **__):
        raise error

    return function


def test_a_guarded_function_takes_and_gives_what_it_did(guarded, process):
    function = guarded(lambda *args, **kwargs: (args, kwargs))
    assert function(1, two=2) == ((1,), {"two": 2})
    assert process.sums() == (1, 0, 0)


def test_its_name_signature_and_kind_stay(process):
    @guard(process)
    async def charge(amount: int) -> str:
        """Charge it."""
        return str(amount)

    assert charge.__name__ == "charge"
    assert charge.__doc__ == "Charge it."
    assert list(inspect.signature(charge).parameters) == ["amount"]
    assert inspect.iscoroutinefunction(charge)


async def test_methods_of_all_kinds_can_be_guarded(process):
    class Till:
        @guard(process)
        def charge(self, amount):
            return self, amount

        @classmethod
        @guard(process)
        def open(cls):
            return cls

        @staticmethod
        @guard(process)
        async def close():
            return "closed"

    till = Till()
    assert till.charge(2) == (till, 2)
    assert Till.open() is Till
    assert await Till.close() == "closed"
    assert process.sums() == (3, 0, 0)


async def test_an_object_that_is_called_like_a_coroutine_function_is_one(process):
    class Call:
        async def __call__(self):
            raise Refused

    function = guard(process, fallback="instead")(Call())
    assert await function() == "instead"
    assert process.sums() == (1, 1, 0)


def test_failures_reach_the_caller_and_count(guarded, process):
    function = guarded(raising(Refused("down")))
    for _ in range(4):
        with pytest.raises(Refused, match="down"):
            function()
    with pytest.raises(BreakerOpen):
        function()
    assert process.sums() == (4, 4, 0)


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(),
        GeneratorExit(),
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        Stop(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_cancelled_call_never_counts(process, error):
    """Not even when the fallback could serve: whoever cancelled wants no answer."""
    function = guard(process, fallback="instead", ignore=())(raising(error))
    with pytest.raises(type(error)):
        function()
    assert process.told() is None


async def test_a_task_that_is_cancelled_does_not_count(process):
    started = asyncio.Event()

    @guard(process)
    async def hang():
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process.told() is None


def test_what_a_guard_ignores_is_not_counted_nor_replaced(guarded, process):
    function = guarded(raising(KeyError("no such order")), ignore=LookupError, fallback="instead")
    with pytest.raises(KeyError):
        function()
    assert process.told() is None


def test_a_rejected_call_within_a_guarded_one_is_no_failure(process):
    """Two guards in a row, a decorator's and a transport's, count a call once."""
    process.hear(BreakerStatus.METRICS_ONLY)
    inner = raising(BreakerOpen("other", reason="why", epoch=1, retry_after=timedelta()))
    with pytest.raises(BreakerOpen):
        guard(process)(inner)()
    assert process.told() is None


def test_a_value_serves_for_a_failed_and_for_a_rejected_call(guarded, process):
    function = guarded(raising(Refused()), fallback=None)
    assert [function() for _ in range(6)] == [None] * 6
    assert process.sums() == (4, 4, 0)


def test_a_callable_fallback_gets_the_call_s_arguments(guarded):
    function = guarded(raising(Refused()), fallback=lambda amount, *, currency: (amount, currency))
    assert function(3, currency="EUR") == (3, "EUR")


async def test_a_coroutine_function_s_fallback_may_be_one_too(process):
    async def cached(amount):
        await asyncio.sleep(0)
        return amount

    @guard(process, fallback=cached)
    async def charge(amount):
        raise Refused(amount)

    assert await charge(3) == 3


def test_a_plain_function_s_fallback_can_t_be_a_coroutine_function(process):
    async def cached():
        pass

    with pytest.raises(TypeError, match=r"charge is no coroutine function, but its fallback is"):

        @guard(process, fallback=cached)
        def charge():
            pass


def test_an_error_of_the_fallback_reaches_the_caller_with_the_first_as_its_context(guarded):
    function = guarded(raising(Refused("down")), fallback=raising(LookupError("no cache")))
    with pytest.raises(LookupError) as caught:
        function()
    assert isinstance(caught.value.__context__, Refused)


def test_a_result_can_count_as_a_failure(guarded, process):
    function = guarded(lambda code: code, failure=lambda code: code >= 500)
    assert [function(code) for code in (200, 503)] == [200, 503]
    assert process.sums() == (2, 1, 0)


def test_a_failing_result_is_replaced_by_the_fallback(guarded):
    function = guarded(lambda: 503, failure=lambda code: code >= 500, fallback="instead")
    assert function() == "instead"


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_generators_are_refused(process, kind):
    """When such a call ends is not for the guard to know."""

    def generator():
        yield

    async def async_generator():
        yield

    with pytest.raises(TypeError, match="is a generator: guard what it calls"):
        guard(process)({"generator": generator, "async generator": async_generator}[kind])


@pytest.mark.parametrize("wrapper", [classmethod, staticmethod])
def test_the_wrong_order_of_decorators_is_refused(process, wrapper):
    with pytest.raises(TypeError, match=f"below @{wrapper.__name__}"):
        guard(process)(wrapper(lambda: None))


def test_what_can_t_be_called_can_t_be_guarded(process):
    with pytest.raises(TypeError, match="expected a function, got 3"):
        guard(process)(3)


def test_a_name_that_no_service_has_is_refused_at_once(process):
    with pytest.raises(InvalidInput, match="'two words' is no service's name"):
        Guard(process.switchboard, "two words")


def test_what_can_t_be_ignored_is_refused_at_once(process):
    with pytest.raises(TypeError):
        guard(process, ignore=("ValueError",))


@pytest.mark.parametrize("options", [{}, {"fallback": "instead", "retry": Retry()}])
def test_the_end_of_an_iterator_is_no_failure(process, options):
    function = guard(process, **options)(iter([1]).__next__)
    assert function() == 1
    with pytest.raises(StopIteration):
        function()
    assert process.sums() == (2, 0, 0)


async def test_the_end_of_an_asynchronous_iterator_is_no_failure(process):
    async def one():
        yield 1

    function = guard(process, fallback="instead", retry=Retry())(one().__anext__)
    assert await function() == 1
    with pytest.raises(StopAsyncIteration):
        await function()
    assert process.sums() == (2, 0, 0)


def test_the_lock_is_not_held_during_a_call(process):
    """Calls of one breaker go on side by side, also as probes and after failures."""
    entered = passage(process)
    with entered, passage(process):
        assert process.call() == "answer"


@pytest.mark.parametrize("options", [{}, {"fallback": None}, {"failure": bool}])
@pytest.mark.parametrize("is_open", [False, True])
def test_nothing_of_a_failed_call_stays_behind(process, options, is_open):
    """No cycles: a storm of errors must not wait for the garbage collector."""
    if is_open:
        process.hear(BreakerStatus.OPEN)

    def call():
        raise Refused

    function = guard(process, **options)(call)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            with suppress(Refused, BreakerOpen):
                function()
        assert gc.collect() == 0
    finally:
        gc.enable()

"""The guard: a decorator that has every call of a function go through a breaker.

A call that goes well costs two looks at the clock and one step of a counter. Of the wrappers there
are two each, because a function can't await only now and then; what they decide is in
``breaker.py`` and ``rescue.py``, once.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar, cast

from holdfast.client.breaker import LocalBreaker
from holdfast.client.judgement import FailingResult, Verdict
from holdfast.client.rescue import NOTHING, Rescue, finish
from holdfast.client.retry import Retry
from holdfast.client.switchboard import Switchboard

P = ParamSpec("P")
R = TypeVar("R")
Exceptions = type[BaseException] | tuple[type[BaseException], ...]

_PASSED: Final = Verdict.PASSED


class Guard:
    """Puts a breaker in front of functions, plain ones and coroutine functions alike.

    Args:
        switchboard: The process's.
        name: The service that they call.
        fallback: The result of a call that is rejected, or fails in a way that counts: a value, or
            what is called with the call's arguments; a coroutine function for coroutine functions
            only. Never used for what is ignored, nor for a cancelled call.
        retry: When a failed call is made again, each time through the breaker.
        ignore: Exceptions that don't count at all, beside those that the breaker's rules ignore.
        failure: Which results count as failures.

    Raises:
        InvalidInput: The name can't be a service's.
        TypeError: ``ignore`` holds something else than classes.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        name: str,
        *,
        fallback: Any = NOTHING,
        retry: Retry | None = None,
        ignore: Exceptions = (),
        failure: Callable[[Any], bool] | None = None,
    ) -> None:
        self._switchboard = switchboard
        self._breaker = switchboard.breaker(name)
        self._fallback = fallback
        self._retry = retry
        # Here, so that it fails where it is written and not with the first error.
        isinstance(None, ignore)
        self._ignore = ignore
        self._failure = failure

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, guarded: of the same signature and type.

        Raises:
            TypeError: A call of it has no single end (generators), or its fallback can't be
                awaited.
        """
        waits = _waits(function)
        if not waits and _is_coroutine_function(self._fallback):
            raise TypeError(f"{_name(function)} is no coroutine function, but its fallback is one")
        call: Callable[..., Any] = function
        if self._failure:
            call = (_checked_async if waits else _checked)(function, self._failure)
        attempt = (_attempt_async if waits else _attempt)(call, self._breaker, self._judge)
        if self._retry or self._failure or self._fallback is not NOTHING:
            rescue = self._rescue(waits=waits)
            attempt = (_rescued_async if waits else _rescued)(attempt, rescue)
        return cast("Callable[P, R]", functools.wraps(function)(attempt))

    def _judge(self, error: BaseException) -> Verdict:
        if isinstance(error, self._ignore):
            return Verdict.UNCOUNTED
        return self._breaker.judge(error)

    def _rescue(self, *, waits: bool) -> Rescue:
        return Rescue(
            judge=self._judge,
            breaker=self._breaker,
            retry=self._retry,
            budget=self._switchboard.budget,
            draw=self._switchboard.draw,
            sleep=self._switchboard.sleep,
            fallback=self._fallback,
            waits=waits,
        )


class Retrying:
    """Has a failed call of a function made again, without a breaker of its own.

    Args:
        switchboard: The process's, whose budget bounds the retries.
        retry: When a call is made again.
    """

    def __init__(self, switchboard: Switchboard, retry: Retry) -> None:
        self._switchboard = switchboard
        self._retry = retry

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function with its retries: of the same signature and type."""
        waits = _waits(function)
        rescue = Rescue(
            judge=lambda _: Verdict.FAILED,
            breaker=None,
            retry=self._retry,
            budget=self._switchboard.budget,
            draw=self._switchboard.draw,
            sleep=self._switchboard.sleep,
            fallback=NOTHING,
            waits=waits,
        )
        attempt = (_rescued_async if waits else _rescued)(function, rescue)
        return cast("Callable[P, R]", functools.wraps(function)(attempt))


def _attempt(
    function: Callable[..., Any], breaker: LocalBreaker, judge: Callable[[BaseException], Verdict]
) -> Callable[..., Any]:
    clock, admit, settle = breaker.clock, breaker.admit, breaker.settle

    def attempt(*args: Any, **kwargs: Any) -> Any:
        admitted = breaker.passing or admit()
        began = clock()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            settle(admitted, judge(error), took=clock() - began)
            raise
        ended = clock()
        if ended < admitted.edge and ended - began <= admitted.slow_after:
            admitted.count()
        else:
            settle(admitted, _PASSED, took=ended - began)
        return result

    return attempt


def _attempt_async(
    function: Callable[..., Any], breaker: LocalBreaker, judge: Callable[[BaseException], Verdict]
) -> Callable[..., Any]:
    clock, admit, settle = breaker.clock, breaker.admit, breaker.settle

    async def attempt(*args: Any, **kwargs: Any) -> Any:
        admitted = breaker.passing or admit()
        began = clock()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            settle(admitted, judge(error), took=clock() - began)
            raise
        ended = clock()
        if ended < admitted.edge and ended - began <= admitted.slow_after:
            admitted.count()
        else:
            settle(admitted, _PASSED, took=ended - began)
        return result

    return attempt


def _checked(function: Callable[..., Any], failure: Callable[[Any], bool]) -> Callable[..., Any]:
    def checked(*args: Any, **kwargs: Any) -> Any:
        return _check(function(*args, **kwargs), failure)

    return checked


def _checked_async(
    function: Callable[..., Any], failure: Callable[[Any], bool]
) -> Callable[..., Any]:
    async def checked(*args: Any, **kwargs: Any) -> Any:
        return _check(await function(*args, **kwargs), failure)

    return checked


def _check(result: R, failure: Callable[[R], bool]) -> R:
    if failure(result):
        raise FailingResult(result)
    return result


def _rescued(attempt: Callable[..., Any], rescue: Rescue) -> Callable[..., Any]:
    def rescued(*args: Any, **kwargs: Any) -> Any:
        rescue.begin()
        try:
            return attempt(*args, **kwargs)
        except StopIteration:
            # No failure, and nothing that a coroutine may raise.
            raise
        except Exception as error:  # noqa: BLE001 - raised again unless it is made good
            return finish(rescue.after(error, attempt, args, kwargs))

    return rescued


def _rescued_async(attempt: Callable[..., Any], rescue: Rescue) -> Callable[..., Any]:
    async def rescued(*args: Any, **kwargs: Any) -> Any:
        rescue.begin()
        try:
            return await attempt(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again unless it is made good
            return await rescue.after(error, attempt, args, kwargs)

    return rescued


def _waits(function: Callable[..., Any]) -> bool:
    """Whether it is a coroutine function; what can't be guarded is refused."""
    if isinstance(function, classmethod | staticmethod):
        raise TypeError(f"put the decorator below @{type(function).__name__}, not above it")
    if not callable(function):
        raise TypeError(f"expected a function, got {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{_name(function)} is a generator: guard what it calls,"
            " or use `with holdfast.breaker(...)` inside it"
        )
    return _is_coroutine_function(function)


def _is_coroutine_function(function: Any) -> bool:
    # An object whose __call__ is a coroutine function is as good as one.
    called = getattr(function, "__call__", None)  # noqa: B004 - to look at it, not to test for it
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))

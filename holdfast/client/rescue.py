"""The rescue: what is done after an attempt went wrong, retries first, then the fallback.

Written once, as a coroutine. For a plain function its steps never wait for an event loop, so that
:func:`finish` runs it to its end in one go.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from inspect import isawaitable
from typing import Any, Final, TypeVar

from holdfast.client.breaker import LocalBreaker
from holdfast.client.judgement import ENDS, FailingResult, Verdict
from holdfast.client.retry import Retry, RetryBudget
from holdfast.errors import BreakerOpen

T = TypeVar("T")


class Nothing(Enum):
    """Stands for no fallback, since None may well be one."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING


class _Ended(BaseException):
    """Carries a StopIteration out of a coroutine, which may not raise one itself."""

    def __init__(self, end: StopIteration) -> None:
        super().__init__()
        self.end = end


@dataclass(frozen=True, slots=True)
class Rescue:
    """How a failed or rejected call is made good.

    Attributes:
        judge: How a call counts that ended with an exception.
        breaker: That the call goes through, if it goes through one.
        retry: When it is made again.
        budget: What bounds the retries, unless ``retry`` has its own.
        draw: Uniform random numbers in [0, 1).
        sleep: Waits instead of the system, if given.
        fallback: The result in its place, or what is called for it with the call's arguments.
        waits: Whether the call is a coroutine function's.
    """

    judge: Callable[[BaseException], Verdict]
    breaker: LocalBreaker | None
    retry: Retry | None
    budget: RetryBudget
    draw: Callable[[], float]
    sleep: Callable[[float], None] | None
    fallback: Any
    waits: bool

    def begin(self) -> None:
        """A call is made for the first time."""
        if self.retry:
            (self.retry.budget or self.budget).called()

    async def after(
        self,
        error: Exception,
        attempt: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """The call's result after all.

        Args:
            error: What the first attempt ended with.
            attempt: Makes the call again.
            args: Of the call.
            kwargs: Of the call.

        Raises:
            Exception: The last attempt's, if there is no fallback for it.
        """
        attempts = 1
        try:
            while (wait := self._wait(error, attempts)) is not None:
                await self._pause(wait)
                attempts += 1
                try:
                    return await self._perform(attempt, args, kwargs)
                except BreakerOpen as rejected:
                    rejected.__cause__ = error
                    error = rejected
                except Exception as again:  # noqa: BLE001 - it is judged like the first
                    error = again
            return await self._instead(error, args, kwargs)
        finally:
            # The error's traceback holds this frame: without this they would keep each other.
            del error

    def _wait(self, error: Exception, attempts: int) -> float | None:
        if self.retry is None or isinstance(error, ENDS):
            return None
        if self.judge(error) is Verdict.UNCOUNTED:
            return None
        if self.breaker and self.breaker.passing is None and self.breaker.status.rejects:
            return None
        wait = self.retry.wait(error, attempt=attempts, budget=self.budget, draw=self.draw)
        return None if wait is None else wait.total_seconds()

    async def _instead(
        self, error: Exception, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        try:
            failed = isinstance(error, BreakerOpen) or self.judge(error) is Verdict.FAILED
            if failed and self.fallback is not NOTHING:
                if callable(self.fallback):
                    return await self._perform(self.fallback, args, kwargs)
                return self.fallback
            if isinstance(error, FailingResult):
                return error.result
            raise error
        finally:
            del error

    async def _perform(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        try:
            result = function(*args, **kwargs)
        except StopIteration as end:
            if self.waits:
                raise
            raise _Ended(end) from None
        return await result if self.waits and isawaitable(result) else result

    async def _pause(self, seconds: float) -> None:
        if self.sleep:
            self.sleep(seconds)
        elif self.waits:
            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251 - there is no event loop then


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    except _Ended as ended:
        raise ended.end from None
    coroutine.close()
    raise RuntimeError("a plain function's rescue waited for an event loop")

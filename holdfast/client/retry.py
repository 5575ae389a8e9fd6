"""Retry: how often and how soon a failed call is made again, and when that would do harm."""

import random
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import RLock

import httpx
from pydantic import ConfigDict, Field

from holdfast.client.post import retry_after
from holdfast.client.process import call_in_children
from holdfast.domain.model import Model
from holdfast.domain.strategy import Backoff
from holdfast.errors import BreakerOpen

# "Full jitter" (AWS Architecture Blog, "Exponential Backoff and Jitter"): each wait is drawn from
# zero to twice its mean, so that callers who failed together don't come back together.
FULL_JITTER = Backoff(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=5), jitter=1.0)
LONGEST_ASKED_WAIT = timedelta(seconds=30)


class RetryBudget:
    """How many retries a process may make: a share of its calls, and a few in any case.

    When everything fails, retries multiply the load on what is failing; a budget bounds that. As
    in Finagle's ``RetryBudget`` (a leaky token bucket): every call puts ``share`` of a token in,
    every retry takes one out, and what is older than ``memory`` is forgotten.

    Args:
        share: Retries per call; 0.2 adds at most 20 % of load.
        per_second: Retries that are always allowed, so that a process with few calls can retry.
        memory: How long a call speaks for retries.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        share: float = 0.2,
        per_second: float = 10.0,
        memory: timedelta = timedelta(seconds=10),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._reserve = per_second * memory.total_seconds()
        self._memory = memory.total_seconds()
        self._clock = clock
        self._slots: deque[list[float]] = deque()
        self._balance = 0.0
        # Re-entrant, because a signal handler may make guarded calls too.
        self._lock = RLock()
        call_in_children(self, RetryBudget._after_fork)

    def called(self) -> None:
        """A call is made for the first time."""
        with self._lock:
            self._add(self._share)

    def spend(self) -> bool:
        """Take a retry out; false if none is left."""
        with self._lock:
            self._add(0.0)
            if self._balance + self._reserve < 1.0:
                return False
            self._add(-1.0)
            return True

    def _after_fork(self) -> None:
        # Another thread of the parent may have held it, for good.
        self._lock = RLock()

    def _add(self, tokens: float) -> None:
        at = self._clock()
        while self._slots and self._slots[0][0] <= at - self._memory:
            self._balance -= self._slots.popleft()[1]
        if not self._slots or self._slots[-1][0] <= at - self._memory / 10:
            self._slots.append([at, 0.0])
        self._slots[-1][1] += tokens
        self._balance += tokens


class Retry(Model):
    """When a failed call is made again.

    Attributes:
        attempts: How often it is made in all.
        backoff: The waits between; with a jitter of 1 each is drawn from zero to twice its mean.
        on: The exceptions after which it is made again. A rejected call never is.
        budget: What bounds the retries; the ``Holdfast``'s own, which all its guards share, if
            none is given.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    # Named, because type checkers without pydantic's plugin know no other default.
    attempts: int = Field(default=3, ge=1, le=100)
    backoff: Backoff = FULL_JITTER
    on: tuple[type[Exception], ...] = (Exception,)
    budget: RetryBudget | None = None

    def wait(
        self,
        error: Exception,
        *,
        attempt: int,
        budget: RetryBudget,
        draw: Callable[[], float] = random.random,
    ) -> timedelta | None:
        """How long to wait before the next attempt; None if there is to be none.

        An HTTP error that says ``Retry-After`` is waited for at least that long, and not retried
        at all if it asks for more than half a minute.

        Args:
            error: What the last attempt ended with.
            attempt: Its number, from 1.
            budget: What bounds retries if this has no budget of its own.
            draw: Uniform random numbers in [0, 1).
        """
        if attempt >= self.attempts or isinstance(error, BreakerOpen):
            return None
        asked = _asked_wait(error)
        if not isinstance(error, self.on) or asked > LONGEST_ASKED_WAIT:
            return None
        if not (self.budget or budget).spend():
            return None
        return max(asked, self.backoff.delay(attempt, drawn=draw()))


def _asked_wait(error: Exception) -> timedelta:
    if isinstance(error, httpx.HTTPStatusError):
        return retry_after(error.response, now=datetime.now(UTC))
    return timedelta()

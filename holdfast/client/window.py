"""The window: how the calls that a breaker admitted went, within the last so many seconds.

A call that went well and fast within the present bucket costs one step of a counter; everything
else goes through the breaker's lock. Only that lock's holder reads or changes the rest.
"""

from collections import deque
from collections.abc import Callable
from itertools import count
from math import inf
from typing import NamedTuple

from holdfast.domain.breaker_rules import BreakerRules

# Seconds of the clock, as floats throughout: they are compared with every call.
WIDEST_BUCKET = 1.0
FEWEST_BUCKETS = 10


class Sums(NamedTuple):
    """Calls, and how they went."""

    calls: int = 0
    failures: int = 0
    slow: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(
            self.calls + other.calls, self.failures + other.failures, self.slow + other.slow
        )

    def since(self, earlier: "Sums") -> "Sums":
        """What was added since then."""
        return Sums(
            self.calls - earlier.calls,
            self.failures - earlier.failures,
            self.slow - earlier.slow,
        )

    def may_trip(self, rules: BreakerRules) -> bool:
        """Whether it is worth asking for the verdict, which takes far longer to come to."""
        calls = self.calls
        if not calls or calls < rules.minimum_calls:
            return False
        return self.failures / calls >= rules.failure_rate or self.slow / calls >= rules.slow_rate


class Window:
    """The calls that were admitted between two changes of a breaker.

    A call belongs to the window that it was admitted with: once the breaker has another, what a
    late call adds to the old one is read by nobody.

    Attributes:
        count: Counts one call that went well; to be called only before ``edge``, and for no call
            that took longer than ``slow_after``. It is one step in C, so that no lock is needed.
        edge: When the present bucket ends.
        slow_after: In seconds; infinite if no call is slow.
        epoch: That of the fleet's breaker, as the process knew it.
    """

    __slots__ = (
        "_length",
        "_looks",
        "_marks",
        "_newest",
        "_noted",
        "_told",
        "_width",
        "count",
        "edge",
        "epoch",
        "slow_after",
    )

    def __init__(self, rules: BreakerRules, *, epoch: int, at: float) -> None:
        self.count: Callable[[], int] = count().__next__
        self.epoch = epoch
        self.slow_after = rules.slow_after.total_seconds() if rules.slow_after else inf
        self._length = rules.window.total_seconds()
        self._newest = rules.window_calls
        self._width = min(WIDEST_BUCKET, self._length / FEWEST_BUCKETS)
        self.edge = at + self._width
        self._looks = 0
        self._noted = Sums()
        self._told = Sums()
        # The sums as they were at the end of each bucket, oldest first.
        self._marks: deque[tuple[float, Sums]] = deque([(at, Sums())])

    def note(self, *, failed: bool, slow: bool, at: float) -> None:
        """Count a call that failed, was slow, or ended after the bucket."""
        self._roll(at)
        calls, failures, slow_ones = self._noted
        self._noted = Sums(calls + 1, failures + failed, slow_ones + slow)

    def sums(self, at: float) -> Sums:
        """The calls within the rules' window, to the precision of a bucket."""
        self._roll(at)
        total = self._total()
        base = self._marks[0][1]
        for ended, mark in reversed(self._marks):
            enough = self._newest is not None and total.calls - mark.calls >= self._newest
            if enough or ended <= at - self._length:
                base = mark
                break
        return total.since(base)

    def take(self) -> Sums:
        """What was counted since the last taking."""
        total = self._total()
        taken, self._told = total.since(self._told), total
        return taken

    def _total(self) -> Sums:
        # Looking at the counter moves it on, which is to be taken off again.
        counted = self.count() - self._looks
        self._looks += 1
        return self._noted._replace(calls=self._noted.calls + counted)

    def _roll(self, at: float) -> None:
        """Begin a new bucket if the present one is over, and forget those of long ago."""
        if at < self.edge:
            return
        self._marks.append((self.edge, self._total()))
        self.edge = at + self._width
        while len(self._marks) > 1 and self._marks[1][0] <= at - self._length:
            self._marks.popleft()

"""What the end of a guarded call says of what it called: it went well, it failed, or nothing."""

from concurrent.futures import CancelledError
from enum import Enum

from holdfast.domain.breaker_rules import BreakerRules
from holdfast.errors import BreakerOpen

# A call that was not made, or not made to its end, says nothing of what it called. The
# cancellation of asyncio, GeneratorExit, KeyboardInterrupt and SystemExit are no Exceptions.
_SAY_NOTHING = (BreakerOpen, CancelledError)
# How iterators say that they are at their end.
ENDS = (StopIteration, StopAsyncIteration)

_MOST_CLASSES = 1000


class Verdict(Enum):
    """How a call counts."""

    PASSED = "passed"
    FAILED = "failed"
    UNCOUNTED = "uncounted"


class FailingResult(Exception):
    """A call returned what counts as a failure; carries it to where it is returned after all."""

    def __init__(self, result: object) -> None:
        super().__init__("the result counts as a failure")
        self.result = result


class Judge:
    """Knows which exceptions count under a breaker's rules; remembers it for each class."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._ignoring = rules.model_copy(update={"count_only": ()})
        self._known: dict[type[BaseException], Verdict] = {}

    def verdict(self, kind: type[BaseException]) -> Verdict:
        """How a call counts that ended with an exception of that class.

        What the rules ignore is not counted; with ``count_only``, what is not listed went well.
        """
        known = self._known.get(kind)
        if known is None:
            if len(self._known) >= _MOST_CLASSES:
                # Some libraries make classes as they go.
                self._known = {}
            known = self._known[kind] = self._judge(kind)
        return known

    def _judge(self, kind: type[BaseException]) -> Verdict:
        if not issubclass(kind, Exception) or issubclass(kind, _SAY_NOTHING):
            return Verdict.UNCOUNTED
        if issubclass(kind, ENDS):
            return Verdict.PASSED
        names = [dotted(each) for each in kind.__mro__ if issubclass(each, Exception)]
        if issubclass(kind, FailingResult) or self._rules.counts(names):
            return Verdict.FAILED
        return Verdict.PASSED if self._ignoring.counts(names) else Verdict.UNCOUNTED


def dotted(kind: type) -> str:
    """``module.Class``, or ``Class`` alone for Python's own."""
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"

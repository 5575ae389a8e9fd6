"""Owns the outcomes of guarded calls: their sums, and when they say that a breaker is to open."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.model import Model, Name

MOST_CALLS = 100_000_000

# Under this name reported errors count as failed calls of a service.
REPORTS = "reports"

ReporterId = Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
LeaseId = Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]


class Outcomes(Model):
    """How many calls there were, and how they went.

    Attributes:
        slow: Calls that took too long; a failed one may be slow too.
    """

    calls: int = Field(0, ge=0, le=MOST_CALLS)
    failures: int = Field(0, ge=0)
    slow: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _no_more_than_calls(self) -> Self:
        if max(self.failures, self.slow) > self.calls:
            raise ValueError(f"of {self.calls} calls no more can have failed or been slow")
        return self

    def __add__(self, other: "Outcomes") -> "Outcomes":
        return Outcomes.model_construct(
            calls=self.calls + other.calls,
            failures=self.failures + other.failures,
            slow=self.slow + other.slow,
        )

    @property
    def failure_rate(self) -> float:
        """The share of calls that failed; 0 without calls."""
        return self.failures / self.calls if self.calls else 0.0

    @property
    def slow_rate(self) -> float:
        """The share of calls that were slow; 0 without calls."""
        return self.slow / self.calls if self.calls else 0.0


class ServiceOutcomes(Outcomes):
    """The sums of one service since the last telling.

    Attributes:
        epoch: The breaker's epoch in which the calls were admitted: late news is told from new.
    """

    service: Name
    epoch: int = Field(ge=0)


class ProbeResult(Model):
    """How a leased call in half-open went.

    Attributes:
        passed: None if it came to no end, as when it was cancelled: the lease is given back.
    """

    service: Name
    epoch: int = Field(ge=0)
    lease_id: LeaseId
    passed: bool | None


class OutcomeBatch(Model):
    """What a process tells of its guarded calls, about once a second.

    Attributes:
        reporter: Names the process, for as long as it lives.
    """

    reporter: ReporterId
    outcomes: tuple[ServiceOutcomes, ...] = Field((), max_length=1000)
    probes: tuple[ProbeResult, ...] = Field((), max_length=1000)


def verdict(rules: BreakerRules, by_reporter: Mapping[str, Outcomes]) -> str | None:
    """Decide whether calls went badly enough to open the breaker.

    Reported errors (``REPORTS``) add to the failures, but are no voice of their own beside the
    processes that guard their calls: who fails alone would be heard twice.

    Args:
        rules: The breaker's.
        by_reporter: The sums of each reporter within the rules' window.

    Returns:
        Why it is to open, as a sentence; None while it is not.
    """
    heard = {name: each for name, each in by_reporter.items() if each.calls}
    total = sum(heard.values(), Outcomes())
    if total.calls < rules.minimum_calls:
        return None
    voices = [each for name, each in heard.items() if name != REPORTS] or list(heard.values())
    failing = sum(1 for each in voices if each.failure_rate >= rules.failure_rate)
    if total.failure_rate >= rules.failure_rate and _agree(failing, len(voices), rules=rules):
        return f"{total.failures} of {total.calls} calls failed{_where(failing, voices, rules)}"
    slow = sum(1 for each in voices if each.slow_rate >= rules.slow_rate)
    if rules.slow_after is None or total.slow_rate < rules.slow_rate:
        return None
    if not _agree(slow, len(voices), rules=rules):
        return None
    limit = f"{rules.slow_after.total_seconds():g} s"
    return f"{total.slow} of {total.calls} calls took over {limit}{_where(slow, voices, rules)}"


def _agree(agreeing: int, voices: int, *, rules: BreakerRules) -> bool:
    """Whether enough reporters see it: one bad node must not take the good ones' service away."""
    if voices == 1:
        return agreeing == 1
    # Rounded, because 0.07 * 100 is a little more than 7.
    return agreeing >= max(2, math.ceil(round(rules.quorum * voices, 9)))


def _where(agreeing: int, voices: Sequence[Outcomes], rules: BreakerRules) -> str:
    span = f" within {rules.window.total_seconds():g} s"
    return f"{span}, as {agreeing} of {len(voices)} reporters saw" if len(voices) > 1 else span

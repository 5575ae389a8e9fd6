"""Owns the rules of a circuit breaker: what it counts, when it opens, how it comes back."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from holdfast.domain.model import Duration, Model, parse_duration
from holdfast.domain.strategy import Backoff

LONGEST_WINDOW = timedelta(minutes=10)
LONGEST_LEASE = timedelta(seconds=30)

# How long a process that tripped by itself keeps to it.
_LOCAL_OPEN = timedelta(seconds=10)

# The limits stand before the reading, because only then pydantic says them in words.
_SlowAfter = Annotated[
    timedelta, Field(gt=timedelta(0), le=LONGEST_WINDOW), BeforeValidator(parse_duration)
]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
ExceptionName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", max_length=200)]


class BreakerRules(Model):
    """When a breaker opens and how it closes again; fleet-wide and in each process alike.

    The starting values are those that the field has settled on: resilience4j's failure rate,
    Envoy's growing and jittered ejection time, a ramp in place of a jump to full traffic.

    Attributes:
        window: How far back calls count.
        window_calls: Of these, only the latest so many; for services with few calls, together
            with a long window.
        minimum_calls: Fewer calls within the window say nothing.
        failure_rate: From this share of failed calls on it opens.
        slow_after: A call that takes longer is slow; without it none is.
        slow_rate: From this share of slow calls on it opens.
        count_only: If given, the exceptions that count as failures, by class; subclasses too.
        ignore: The exceptions that don't count at all, by class; subclasses too.
        reports_count: Whether reported errors of the service count as failed calls.
        quorum: The share of reporters with calls that must each see the rate, and never one alone
            while there are others.
        open_for: How long it stays open; longer each time, and less again with each ``maximum``
            that it was well.
        leases: How many probe calls must pass in half-open, over the whole fleet.
        lease_for: After so long a lease of which nothing was heard is given to another; longer
            than a good call takes.
        idle_after: Half-open closes when for so long nobody had a probe call to make: nobody calls.
        ramp: The shares of the traffic that are let through after half-open, before all of it.
        ramp_step: How long each of them lasts.
    """

    window: Duration = Field(timedelta(seconds=30), ge=timedelta(seconds=1), le=LONGEST_WINDOW)
    window_calls: int | None = Field(None, ge=1, le=1_000_000)
    minimum_calls: int = Field(20, ge=1, le=1_000_000)
    failure_rate: Share = 0.5
    slow_after: _SlowAfter | None = None
    slow_rate: Share = 0.5
    count_only: tuple[ExceptionName, ...] = Field((), max_length=100)
    ignore: tuple[ExceptionName, ...] = Field((), max_length=100)
    reports_count: bool = True
    quorum: Share = 0.3
    open_for: Backoff = Backoff(initial=timedelta(seconds=5), maximum=timedelta(minutes=1))
    leases: int = Field(3, ge=1, le=100)
    lease_for: Duration = Field(
        timedelta(seconds=10), ge=timedelta(milliseconds=100), le=LONGEST_LEASE
    )
    idle_after: Duration | None = Field(timedelta(minutes=1), ge=timedelta(seconds=1))
    ramp: tuple[Share, ...] = Field((0.05, 0.25, 0.5), max_length=20)
    ramp_step: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _can_open(self) -> Self:
        if self.window_calls is not None and self.window_calls < self.minimum_calls:
            told = f"of the latest {self.window_calls} calls (window_calls) there are never"
            raise ValueError(f"{told} {self.minimum_calls} (minimum_calls): it would never open")
        return self

    @field_validator("ramp")
    @classmethod
    def _ramp_grows(cls, ramp: tuple[float, ...]) -> tuple[float, ...]:
        if any(after <= before for before, after in pairwise(ramp)):
            raise ValueError("each share lets more traffic through than the one before it")
        return ramp

    def counts(self, names: Iterable[str]) -> bool:
        """Whether an exception is a failed call.

        Args:
            names: Its class and base classes, dotted (``httpx.ReadTimeout``), without a module for
                Python's own. A rule without a dot means any class of that name.
        """
        known = {form for name in names for form in (name, name.rpartition(".")[2])}
        if known.intersection(self.ignore):
            return False
        return not self.count_only or bool(known.intersection(self.count_only))

    @property
    def local(self) -> Self:
        """The rules of a process that trips by itself: it soon asks the fleet again."""
        backoff = Backoff(initial=_LOCAL_OPEN, factor=1.0, maximum=_LOCAL_OPEN, jitter=0.0)
        return self.model_copy(update={"open_for": backoff, "idle_after": None})

"""Owns the circuit breaker as the API shows it: its whole state, and how calls go."""

from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.durations import WrittenDuration
from api.incident_desk import Source
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold
from holdfast.domain.outcome import Outcomes


class ModeView(BaseModel):
    """The operator who holds a breaker's status."""

    model_config = ConfigDict(from_attributes=True)

    by: str = Field(description="Who.", examples=["ada"])
    reason: str = Field(description="Why.")
    since: AwareDatetime = Field(description="Since when.")
    until: AwareDatetime | None = Field(description="When it ends by itself; none for never.")


class LeaseView(BaseModel):
    """A probe call under way."""

    model_config = ConfigDict(from_attributes=True)

    reporter: str = Field(description="The process that makes it.")
    expires_at: AwareDatetime = Field(description="When it is given to another.")


class CallsView(BaseModel):
    """How the whole fleet's calls went within the rules' window, in the present epoch."""

    window: WrittenDuration = Field(description="How far back.")
    reporters: int = Field(description="How many processes told of calls.")
    calls: int = Field(description="How many calls.")
    failures: int = Field(description="Those that failed.")
    slow: int = Field(description="Those that took too long.")
    failure_rate: float = Field(description="The share that failed, 0 to 1.")
    slow_rate: float = Field(description="The share that took too long, 0 to 1.")

    @classmethod
    def of(cls, total: Outcomes, *, reporters: int, rules: BreakerRules) -> Self:
        """The sums of all that reporters told."""
        return cls(
            window=rules.window,
            reporters=reporters,
            calls=total.calls,
            failures=total.failures,
            slow=total.slow,
            failure_rate=total.failure_rate,
            slow_rate=total.slow_rate,
        )


class BreakerView(BaseModel):
    """A service's circuit breaker."""

    service: str = Field(description="The service that calls go to.")
    status: BreakerStatus = Field(
        description="closed: calls pass; open: none does; half_open: a few probe calls do. Held by "
        "an operator: forced_open: none passes; disabled: all pass and none counts; metrics_only: "
        "all pass and count, and nothing comes of it."
    )
    epoch: int = Field(description="Grows by one with every change of the status.")
    since: AwareDatetime | None = Field(description="When the status began; none for always.")
    reason: str = Field(description="Why it is what it is.")
    share: float = Field(description="The share of calls that pass while it is closed, 0 to 1.")
    share_until: AwareDatetime | None = Field(
        description="When more calls pass; none if all do, or if that is not a matter of time."
    )
    mode: ModeView | None = Field(description="Who holds the status, if an operator does.")
    holds: list[Hold] = Field(description="Which incidents hold it open, and why.")
    trips: int = Field(description="How often it opened in a row; each makes it stay open longer.")
    probes_at: AwareDatetime | None = Field(
        description="When an open one becomes half-open; none if that is not a matter of time."
    )
    leases: list[LeaseView] = Field(description="The probe calls that are under way.")
    probes_passed: int = Field(description="How many probe calls passed in this epoch.")
    rules: BreakerRules = Field(
        description="When it opens and how it comes back, as the policy file has it; durations in "
        "ISO 8601."
    )
    calls: CallsView | None = Field(
        description="How calls went lately; none if nobody told of any, or without the record."
    )
    source: Source = Field(
        description="Who answered: the breaker's workflow, or the record, which may be behind."
    )

    @classmethod
    def of(
        cls,
        breaker: CircuitBreaker,
        source: Source,
        *,
        rules: BreakerRules,
        calls: CallsView | None = None,
    ) -> Self:
        """A breaker as it is shown.

        Args:
            breaker: Its state.
            source: Who told it.
            rules: The active policy's for it.
            calls: How calls went, if that is known.
        """
        return cls(
            service=breaker.service,
            status=breaker.status,
            epoch=breaker.epoch,
            since=breaker.since,
            reason=breaker.reason,
            share=breaker.share,
            share_until=breaker.ramp_ends_at,
            mode=ModeView.model_validate(breaker.mode) if breaker.mode else None,
            holds=list(breaker.holds),
            trips=breaker.trips,
            probes_at=breaker.probes_at,
            leases=[LeaseView.model_validate(each) for each in breaker.leases],
            probes_passed=breaker.probes_passed,
            rules=rules,
            calls=calls,
            source=source,
        )

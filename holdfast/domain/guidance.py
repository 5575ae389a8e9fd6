"""Owns guidance: what the processes that call a service, or are it, go by."""

from typing import Self

from pydantic import AwareDatetime, Field

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.degradation import Degradation
from holdfast.domain.model import Model, Name


class BreakerGuidance(Model):
    """Whether calls to a service pass, as the whole fleet's breaker has it.

    Attributes:
        probes_at: When an open one lets probe calls through, if that is known.
        share: The share of calls that pass while it is closed.
    """

    status: BreakerStatus = BreakerStatus.CLOSED
    epoch: int = Field(0, ge=0)
    reason: str = ""
    since: AwareDatetime | None = None
    probes_at: AwareDatetime | None = None
    share: float = Field(1.0, ge=0.0, le=1.0)

    @classmethod
    def of(cls, breaker: CircuitBreaker) -> Self:
        """What callers need to know of a breaker."""
        return cls(
            status=breaker.status,
            epoch=breaker.epoch,
            reason=breaker.reason,
            since=breaker.since,
            probes_at=breaker.probes_at,
            share=breaker.share,
        )


class ServiceGuidance(Model):
    """What to go by about one service; the whole of it is told with each change.

    Attributes:
        rules: By which each process counts and, where it must, decides alone.
        features_off: What the service leaves out for now.
    """

    service: Name
    breaker: BreakerGuidance = BreakerGuidance()
    rules: BreakerRules = BreakerRules()
    features_off: tuple[Name, ...] = ()

    @classmethod
    def of(
        cls,
        service: str,
        *,
        breaker: CircuitBreaker | None,
        degradation: Degradation | None,
        rules: BreakerRules,
    ) -> Self:
        """What is known of a service; None for what it never had."""
        return cls(
            service=service,
            breaker=BreakerGuidance.of(breaker) if breaker else BreakerGuidance(),
            rules=rules,
            features_off=degradation.features_off if degradation else (),
        )

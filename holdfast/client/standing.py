"""How a breaker stands in one process: what the fleet's says and its own, put together."""

from dataclasses import dataclass
from typing import Self

from holdfast.client.own_breaker import OwnBreaker
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import BreakerGuidance

_PASSING = frozenset({BreakerStatus.CLOSED, BreakerStatus.DISABLED, BreakerStatus.METRICS_ONLY})


@dataclass(frozen=True, slots=True)
class Standing:
    """Worked out once, for all calls until the next change.

    Attributes:
        status: The fleet's, while that is not closed; else the process's own.
        is_own: Whether it is the process's own.
        share: The share of calls that pass, where calls pass at all.
        rejects: Whether no call passes, not even a probe.
        probes: Whether only probe calls pass.
        reason: Why a call is rejected.
    """

    status: BreakerStatus
    is_own: bool
    share: float
    rejects: bool
    probes: bool
    reason: str

    @property
    def passes(self) -> bool:
        """Whether every call passes."""
        return self.share >= 1

    @classmethod
    def of(cls, fleet: BreakerGuidance, own: OwnBreaker) -> Self:
        """Put both together: a call passes where both let it."""
        is_own = fleet.status is BreakerStatus.CLOSED
        status = own.status if is_own else fleet.status
        share = min(fleet.share, own.share) if is_own else 1.0
        here = " in this process" if is_own else ""
        if status is BreakerStatus.HALF_OPEN:
            reason = f"only probe calls pass{here}"
        elif status in _PASSING:
            reason = f"{share:.0%} of the calls are let through for now"
        else:
            reason = f"{own.reason}{here}" if is_own else fleet.reason
        return cls(
            status=status,
            is_own=is_own,
            share=share if status in _PASSING else 0.0,
            rejects=status.rejects,
            probes=status is BreakerStatus.HALF_OPEN,
            reason=reason,
        )

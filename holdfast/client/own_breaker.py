"""The breaker that a process keeps for itself: the pure state machine, in monotonic seconds."""

from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from typing import Final

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.outcome import ProbeResult

# The state machine reckons in dates; any will do to count the seconds from.
_START: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SELF: Final = "self"


class OwnBreaker:
    """Opens at once on what this process sees, for a short time; then it probes and ramps.

    Args:
        service: What is called.
        rules: The fleet's.

    Attributes:
        due: When :meth:`advance` will have something to do; infinite if never.
    """

    def __init__(self, service: str, rules: BreakerRules) -> None:
        self.due = inf
        self._lease_ids = count(1)
        self._become(CircuitBreaker(service=service, rules=rules.local))

    @property
    def status(self) -> BreakerStatus:
        """As of the last call of any method."""
        return self._breaker.status

    @property
    def epoch(self) -> int:
        """Grows with each change of the status; the fleet's breaker counts its own."""
        return self._breaker.epoch

    @property
    def reason(self) -> str:
        """Why it is what it is."""
        return self._breaker.reason

    @property
    def share(self) -> float:
        """The share of calls that pass while it is closed."""
        return self._breaker.share

    def ruled(self, rules: BreakerRules) -> None:
        """Go on under other rules."""
        self._become(self._breaker.ruled(rules.local))

    def advance(self, at: float) -> None:
        """Do what has come due."""
        if at >= self.due:
            self._become(self._breaker.advanced(_moment(at)))

    def probes_in(self, at: float) -> timedelta:
        """How long it still stays open."""
        probes_at = self._breaker.probes_at
        return max(timedelta(), probes_at - _moment(at)) if probes_at else timedelta()

    def trip(self, reason: str, *, at: float, drawn: float) -> None:
        """Open, if it is closed."""
        epoch = self._breaker.epoch
        self._become(self._breaker.tripped(reason, epoch=epoch, at=_moment(at), drawn=drawn))

    def lease(self, at: float) -> str | None:
        """The right to make a probe call; None while enough of them are under way."""
        request = LeaseRequest(
            lease_id=str(next(self._lease_ids)), reporter=_SELF, epoch=self._breaker.epoch
        )
        breaker, (lease,) = self._breaker.leased([request], at=_moment(at))
        self._become(breaker)
        return lease.id if lease else None

    def probed(self, lease_id: str, *, passed: bool, at: float, drawn: float) -> None:
        """Take how a probe call went."""
        result = ProbeResult(
            service=self._breaker.service,
            epoch=self._breaker.epoch,
            lease_id=lease_id,
            passed=passed,
        )
        self._become(self._breaker.probed([result], at=_moment(at), drawn=drawn))

    def _become(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        # In seconds, because every call that is not simply let through compares it.
        due = breaker.due_at
        self.due = (due - _START).total_seconds() if due else inf


def _moment(at: float) -> datetime:
    return _START + timedelta(seconds=at)

"""Owns the circuit breaker's state: closed, or open while an incident holds it open."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime

from holdfast.domain.holds import Hold, held, released
from holdfast.domain.model import Model, Name


class BreakerStatus(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"
    OPEN = "open"


class CircuitBreaker(Model):
    """A service's breaker.

    Attributes:
        epoch: Grows by one with every transition, so that late news can be told from new.
        since: When the present status began; None before the first transition.
    """

    service: Name
    status: BreakerStatus = BreakerStatus.CLOSED
    epoch: int = 0
    since: AwareDatetime | None = None
    holds: tuple[Hold, ...] = ()

    def held(self, hold: Hold, *, at: datetime) -> Self:
        """The breaker with an incident holding it open."""
        return self._settled(held(self.holds, hold), at)

    def released(self, incident_id: str, *, at: datetime) -> Self:
        """The breaker without an incident's hold; the last one's release closes it."""
        return self._settled(released(self.holds, incident_id), at)

    def _settled(self, holds: tuple[Hold, ...], at: datetime) -> Self:
        status = BreakerStatus.OPEN if holds else BreakerStatus.CLOSED
        if status is self.status:
            return self.model_copy(update={"holds": holds})
        return self.model_copy(
            update={"holds": holds, "status": status, "epoch": self.epoch + 1, "since": at}
        )

"""What the breakers of a process share: clock, name, and when Holdfast was last heard of."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from holdfast.domain.guidance import ServiceGuidance


@dataclass(slots=True)
class Surroundings:
    """What the breakers of a process share.

    Attributes:
        clock: Monotonic seconds.
        draw: Uniform random numbers in [0, 1).
        now: The time of day, in which the fleet's breakers say when they probe.
        reporter: Names this process.
        grace: For so many seconds out of contact the fleet's word still holds.
        on_use: Called with the first guarded call of each breaker; again if it gives False.
        on_urgent: Called when there is something to tell or to ask at once.
        contact_at: When Holdfast was last heard of, by the clock.
    """

    clock: Callable[[], float]
    draw: Callable[[], float]
    now: Callable[[], datetime]
    reporter: str
    grace: float
    on_use: Callable[[], bool]
    on_urgent: Callable[[], None]
    contact_at: float = -inf

    def is_lost(self, at: float) -> bool:
        """Whether Holdfast was not heard of for so long that its word holds no more."""
        return at - self.contact_at > self.grace

    def probes_at(self, guidance: ServiceGuidance, *, at: float) -> float | None:
        """When the fleet probes, by the process's clock, however wrong its time of day is."""
        moment, open_for = guidance.breaker.probes_at, guidance.rules.open_for
        if moment is None:
            return None
        longest = open_for.maximum * (1 + open_for.jitter)
        return at + min(max(moment - self.now(), timedelta()), longest).total_seconds()

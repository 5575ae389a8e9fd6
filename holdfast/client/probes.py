"""Probes: the leased calls of half-open, and how a process comes by the fleet's leases."""

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from math import inf
from uuid import uuid4

from holdfast.client.window import Window
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.outcome import ProbeResult

# Seconds before a process that got no lease asks for one again, with a jitter of a quarter.
ASK_AGAIN = 1.0
ASK_JITTER = 0.25


class Probe:
    """A call that may be made in half-open; to its guard it looks like a window.

    Attributes:
        lease_id: Its right to be made.
        expires_at: From then on the right is another's.
        of_fleet: Whether the fleet gave it, or the process itself while it decided alone.
        window: That of the epoch to which it belongs.
    """

    __slots__ = ("expires_at", "lease_id", "of_fleet", "window")

    # Its end is past every bucket's, so that its breaker hears of it, however it went.
    edge = -inf
    slow_after = inf

    def __init__(self, lease_id: str, *, expires_at: float, of_fleet: bool, window: Window) -> None:
        self.lease_id = lease_id
        self.expires_at = expires_at
        self.of_fleet = of_fleet
        self.window = window

    def count(self) -> int:
        """Never asked for, since no probe ends before its edge."""
        raise AssertionError("a probe's end is for its breaker to hear")


class Probes:
    """The leases that wait for a call, what is to be asked of the fleet, and what to tell it.

    Its breaker's lock guards it.
    """

    def __init__(self) -> None:
        self._spare: deque[Probe] = deque()
        self._results: list[ProbeResult] = []
        self._wanted = False
        self._ask_at = -inf
        self._lease_id = uuid4().hex

    def take(self, at: float) -> Probe | None:
        """A lease that nobody has used yet and that has not expired."""
        while self._spare:
            probe = self._spare.popleft()
            if at < probe.expires_at:
                return probe
        return None

    def give_back(self, probe: Probe, *, at: float) -> None:
        """Have another call use the lease: the one that had it says nothing."""
        if at < probe.expires_at:
            self._spare.append(probe)

    def want(self, at: float) -> bool:
        """Ask the fleet for a lease, if it is time to; whether this is news to who asks."""
        if self._wanted or at < self._ask_at:
            return False
        self._wanted = True
        return True

    def asks_in(self, at: float) -> timedelta:
        """How long until it makes sense to call again."""
        return timedelta(seconds=ASK_AGAIN if self._wanted else max(0.0, self._ask_at - at))

    def request(
        self, *, reporter: str, epoch: int, at: float, draw: Callable[[], float]
    ) -> LeaseRequest | None:
        """What to ask the fleet, once for each time that a lease is wanted."""
        if not self._wanted:
            return None
        self._wanted = False
        self._ask_at = at + ASK_AGAIN * (1 + ASK_JITTER * (2 * draw() - 1))
        # The same until it is granted: if only the answer was lost, there is one lease, not two.
        return LeaseRequest(lease_id=self._lease_id, reporter=reporter, epoch=epoch)

    def granted(self, lease_id: str, *, until: float, window: Window, at: float) -> None:
        """Take a lease that was asked for; the next may be asked for at once."""
        self._ask_at = at
        self._lease_id = uuid4().hex
        self._spare.append(Probe(lease_id, expires_at=until, of_fleet=True, window=window))

    def tell(self, probe: Probe, *, service: str, passed: bool) -> None:
        """Keep how a probe of the fleet's went, until it is taken."""
        epoch, lease_id = probe.window.epoch, probe.lease_id
        self._results.append(
            ProbeResult(service=service, epoch=epoch, lease_id=lease_id, passed=passed)
        )

    def take_results(self) -> list[ProbeResult]:
        """What is to be told, once."""
        taken, self._results = self._results, []
        return taken

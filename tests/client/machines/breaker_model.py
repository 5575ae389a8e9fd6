"""A breaker in one process, as simple as it can be told: for comparison with the real one.

It keeps everything in plain lists, has no window that moves on, no ramp and no fast path.
"""

from dataclasses import dataclass, field

GRACE = 15
OPEN_FOR = 10
LEASE_FOR = 10
MINIMUM = 4
LEASES = 2
REJECTING = {"open", "forced_open"}


@dataclass
class Call:
    """A call that was let through, in which generation, and by which lease if it is a probe."""

    generation: int
    lease: str | None = None
    expires_at: float = 0
    of_fleet: bool = False


@dataclass
class Model:
    now: float = 0
    contact_at: float = 0
    heard: tuple[str, int] = ("closed", 0)
    fleet: tuple[str, int] = ("closed", 0)
    generation: int = 0
    own: str = "closed"
    opened_at: float = 0
    counted: list[bool] = field(default_factory=list)
    untold: list[bool] = field(default_factory=list)
    leases: dict[str, float] = field(default_factory=dict)
    spare: list[tuple[str, float]] = field(default_factory=list)
    passed: int = 0
    made: int = 0
    probes: list[tuple[str, bool]] = field(default_factory=list)

    def look(self) -> None:
        lost = self.now - self.contact_at > GRACE
        fleet = ("closed", self.heard[1]) if lost else self.heard
        if fleet != self.fleet:
            if fleet[1] != self.fleet[1] or self.fleet[0] == "disabled":
                self.untold = []
            self.fleet, self.own = fleet, "closed"
            self.turn()
        if self.own == "open" and self.now >= self.opened_at + OPEN_FOR:
            self.own = "half_open"
            self.turn()

    def turn(self) -> None:
        self.generation += 1
        self.counted, self.leases, self.spare, self.passed = [], {}, [], 0
        self.probes = []

    @property
    def status(self) -> str:
        return self.own if self.fleet[0] == "closed" else self.fleet[0]

    def admit(self) -> Call | None:
        self.look()
        if self.status in REJECTING:
            return None
        if self.status != "half_open":
            return Call(self.generation)
        of_fleet = self.fleet[0] == "half_open"
        while self.spare:
            lease, expires_at = self.spare.pop(0)
            if self.now < expires_at:
                return Call(self.generation, lease, expires_at, of_fleet)
        living = [each for each in self.leases.values() if self.now < each]
        if of_fleet or len(living) + self.passed >= LEASES:
            return None
        self.made += 1
        lease, expires_at = f"own-{self.made}", self.now + LEASE_FOR
        self.leases[lease] = expires_at
        return Call(self.generation, lease, expires_at)

    def end(self, call: Call, how: str) -> None:
        self.look()
        if call.generation != self.generation:
            return
        if how == "cancelled":
            if call.lease and self.now < call.expires_at:
                self.spare.append((call.lease, call.expires_at))
            return
        failed = how == "failed"
        self.untold.append(failed)
        if call.lease:
            self.end_probe(call, failed=failed)
            return
        self.counted.append(failed)
        rate = sum(self.counted) / len(self.counted)
        if failed and self.status == "closed" and len(self.counted) >= MINIMUM and rate >= 0.5:
            self.trip()

    def end_probe(self, call: Call, *, failed: bool) -> None:
        if call.of_fleet:
            self.probes.append((call.lease, not failed))
            return
        if self.now >= self.leases.pop(call.lease, 0):
            return
        if failed:
            self.trip()
            return
        self.passed += 1
        if self.passed == LEASES:
            self.own = "closed"
            self.turn()

    def trip(self) -> None:
        self.own, self.opened_at = "open", self.now
        self.turn()

    def take(self) -> tuple[int, int]:
        self.look()
        told, self.untold = self.untold, []
        return (0, 0) if self.fleet[0] == "disabled" else (len(told), sum(told))

    def take_probes(self) -> list[tuple[str, bool]]:
        told, self.probes = self.probes, []
        return told

"""A breaker as one would keep it on a blackboard, to compare the real one with."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.outcome import ProbeResult


@dataclass
class Blackboard:
    """What a breaker should be.

    Attributes:
        bad: The openings that still count.
        living: When each living lease ends.
        opens_for: Between which times from its opening on it stays open; None for as long as held.
        idle_from: When the last lease ended, or half-open began.
        step: Which of the ramp's shares is let through.
        most: How many probe calls the rules allowed at most since its present status began.
    """

    rules: BreakerRules
    now: datetime
    status: str = "closed"
    epoch: int = 0
    since: datetime | None = None
    bad: int = 0
    holds: list[str] = field(default_factory=list)
    living: dict[str, datetime] = field(default_factory=dict)
    passed: int = 0
    idle_from: datetime | None = None
    idle_for: timedelta | None = None
    mode_until: datetime | None = None
    opens_for: tuple[timedelta, timedelta] | None = None
    step: int | None = None
    step_until: datetime | None = None
    most: int = 0

    def rule(self, rules: BreakerRules) -> None:
        self.rules = rules
        self.most = max(self.most, rules.leases)
        self.passed = min(self.passed, rules.leases - 1)
        if self.step is not None and self.step >= len(rules.ramp):
            self.step = self.step_until = None

    def become(self, status: str) -> None:
        if self.status == "closed" and self.since:
            well = (self.now - self.since) // self.rules.open_for.maximum
            self.bad = max(0, self.bad - max(0, well))
        self.status, self.epoch, self.since = status, self.epoch + 1, self.now
        self.living, self.passed, self.mode_until, self.opens_for = {}, 0, None, None
        self.step = self.step_until = None
        self.idle_for = self.rules.idle_after
        self.idle_from = self.now if status == "half_open" else None
        self.most = self.rules.leases

    def open_for_a_while(self) -> None:
        self.become("open")
        self.bad += 1
        wait = self.rules.open_for
        steady = min(wait.initial * wait.factor ** (self.bad - 1), wait.maximum)
        self.opens_for = (steady * (1 - wait.jitter), steady * (1 + wait.jitter))

    def trip(self, epoch: int) -> None:
        if self.status == "closed" and epoch >= self.epoch:
            self.epoch = epoch
            self.open_for_a_while()

    def hold(self, incident: str) -> None:
        self.holds = [each for each in self.holds if each != incident] + [incident]
        if self.status == "open":
            self.opens_for = None
        elif self.status in {"closed", "half_open"}:
            self.become("open")

    def release(self, incident: str) -> None:
        held = bool(self.holds)
        self.holds = [each for each in self.holds if each != incident]
        if self.status == "open" and held and not self.holds:
            self.become("half_open")

    def lease(self, lease: str, epoch: int) -> bool:
        if self.status != "half_open" or epoch != self.epoch:
            return False
        if lease in self.living:
            return True
        if len(self.living) + self.passed >= self.rules.leases:
            return False
        self.living[lease] = self.idle_from = self.now + self.rules.lease_for
        self.idle_for = self.rules.idle_after
        return True

    def result(self, told: ProbeResult) -> None:
        if told.epoch != self.epoch or told.lease_id not in self.living:
            return
        del self.living[told.lease_id]
        if told.passed is False:
            self.open_for_a_while()
        elif told.passed:
            self.passed += 1
            if self.passed == self.rules.leases:
                self.become("closed")
                self.let_through(0)

    def let_through(self, step: int) -> None:
        on = step < len(self.rules.ramp)
        self.step = step if on else None
        self.step_until = self.now + self.rules.ramp_step if on else None

    def set_mode(self, mode: str, until: datetime | None) -> None:
        if mode != self.status:
            self.become(mode)
        self.mode_until = until

    def end_mode(self) -> None:
        if self.status in {"open", "half_open", "closed"}:
            return
        if self.holds:
            self.become("open")
        else:
            self.become("half_open" if self.status == "forced_open" else "closed")

    def pass_time(self, now: datetime, *, probes: bool) -> None:
        """Go on to a time.

        Args:
            now: The time.
            probes: Whether the real one had become half-open by then, where that is left to
                chance.
        """
        self.now = now
        if self.mode_until and self.mode_until <= now:
            self.end_mode()
        if self.opens_for:
            open_since = now - self.since
            earliest, latest = self.opens_for
            if open_since > latest or (open_since >= earliest and probes):
                self.become("half_open")
        if self.idle_from and self.idle_for and self.idle_from + self.idle_for <= now:
            self.become("closed")
            self.let_through(0)
        while self.step_until and self.step_until <= now:
            self.let_through(self.step + 1)
        self.living = {lease: until for lease, until in self.living.items() if until > now}

    @property
    def share(self) -> float:
        return 1.0 if self.step is None else self.rules.ramp[self.step]

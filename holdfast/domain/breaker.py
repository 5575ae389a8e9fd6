"""Owns the circuit breaker: closed, open, half-open with leased probes, and the ramp back.

The same state machine runs in two places: once for a service's whole fleet, in its workflow, and
once in each process that guards calls, for when it must decide alone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from pydantic import AwareDatetime

from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.holds import Hold, held, released
from holdfast.domain.lease import Lease, LeaseRequest
from holdfast.domain.model import Model, Name
from holdfast.domain.outcome import ProbeResult

NO_MORE_TRIPS_THAN = 64


class BreakerStatus(StrEnum):
    """Whether calls pass; the last three are held by an operator."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"
    METRICS_ONLY = "metrics_only"

    @property
    def is_mode(self) -> bool:
        """Whether an operator holds it; the breaker itself changes nothing then."""
        return self in {self.FORCED_OPEN, self.DISABLED, self.METRICS_ONLY}

    @property
    def rejects(self) -> bool:
        """Whether no call passes."""
        return self in {self.OPEN, self.FORCED_OPEN}


class ModeHold(Model):
    """An operator's wish, until it ends or is taken back.

    Attributes:
        until: When it ends by itself; None for never.
    """

    by: str
    reason: str
    since: AwareDatetime
    until: AwareDatetime | None = None


class CircuitBreaker(Model):
    """A service's breaker.

    Attributes:
        epoch: Grows by one with every transition, so that late news can be told from new.
        since: When the present status began; None before the first transition.
        reason: Why it is what it is.
        holds: The incidents that hold it open; while any does, it makes no probes.
        mode: Who holds the status, if it is one of an operator's.
        rules: As the latest message knew them.
        trips: How often it opened in a row; each makes it stay open longer.
        probes_at: When an open one becomes half-open; None if that is not a matter of time.
        leases: The probe calls that are under way.
        probes_passed: How many of them went well in this epoch.
        idle_at: When a half-open one closes unless somebody makes a probe call.
        ramp: Which of the rules' shares of traffic is let through; None for all of it.
        ramp_ends_at: When the next share's turn comes.
    """

    service: Name
    status: BreakerStatus = BreakerStatus.CLOSED
    epoch: int = 0
    since: AwareDatetime | None = None
    reason: str = ""
    holds: tuple[Hold, ...] = ()
    mode: ModeHold | None = None
    rules: BreakerRules = BreakerRules()
    trips: int = 0
    probes_at: AwareDatetime | None = None
    leases: tuple[Lease, ...] = ()
    probes_passed: int = 0
    idle_at: AwareDatetime | None = None
    ramp: int | None = None
    ramp_ends_at: AwareDatetime | None = None

    @property
    def share(self) -> float:
        """The share of calls that pass while it is closed."""
        return 1.0 if self.ramp is None else self.rules.ramp[self.ramp]

    @property
    def due_at(self) -> datetime | None:
        """When it changes by itself: :meth:`advanced` is to be asked then."""
        times = [lease.expires_at for lease in self.leases]
        times += [each for each in (self.probes_at, self.idle_at, self.ramp_ends_at) if each]
        if self.mode and self.mode.until:
            times.append(self.mode.until)
        return min(times, default=None)

    def ruled(self, rules: BreakerRules) -> Self:
        """The breaker under other rules; times that run already end as they would have."""
        changed: dict[str, Any] = {"rules": rules}
        if self.ramp is not None and self.ramp >= len(rules.ramp):
            changed |= {"ramp": None, "ramp_ends_at": None}
        # One more probe must remain to be made: without it, half-open would never end.
        changed["probes_passed"] = min(self.probes_passed, rules.leases - 1)
        return self.model_copy(update=changed)

    def tripped(self, reason: str, *, epoch: int, at: datetime, drawn: float) -> Self:
        """Open it for a while, if it is closed and still in the epoch that went badly.

        Args:
            reason: Why, as a sentence.
            epoch: The epoch of the calls that failed. A later one than its own is taken over: its
                workflow was ended by hand and began anew, while callers remember.
            at: The present moment.
            drawn: A uniform random number in [0, 1), for the jitter; the caller draws it.
        """
        if self.status is not BreakerStatus.CLOSED or epoch < self.epoch:
            return self
        return self._opened(reason, at=at, drawn=drawn, epoch=epoch + 1)

    def held(self, hold: Hold, *, at: datetime) -> Self:
        """The breaker with an incident holding it open."""
        holds = held(self.holds, hold)
        if self.status.is_mode:
            return self.model_copy(update={"holds": holds})
        if self.status is BreakerStatus.OPEN:
            kept = {"holds": holds, "probes_at": None, "reason": hold.reason}
            return self.model_copy(update=kept)
        trips = self._trips_left(at)
        return self._become(BreakerStatus.OPEN, hold.reason, at=at, holds=holds, trips=trips)

    def released(self, incident_id: str, *, at: datetime) -> Self:
        """The breaker without an incident's hold; the last one's release starts the way back."""
        holds = released(self.holds, incident_id)
        if not self.holds or self.status is not BreakerStatus.OPEN:
            return self.model_copy(update={"holds": holds})
        if holds:
            return self.model_copy(update={"holds": holds, "reason": holds[-1].reason})
        reason = "the incident is over"
        return self._become(BreakerStatus.HALF_OPEN, reason, at=at, holds=holds)

    def leased(
        self, requests: Sequence[LeaseRequest], *, at: datetime
    ) -> tuple[Self, tuple[Lease | None, ...]]:
        """Give out the right to make probe calls, to no more than the rules say.

        Returns:
            The breaker, and for each request its lease, or None.
        """
        breaker = self
        given: list[Lease | None] = []
        for request in requests:
            lease = breaker._lease_for(request, at=at)
            if lease and lease not in breaker.leases:
                leases = (*breaker._living(at), lease)
                idle_at = self._idle_from(lease.expires_at)
                breaker = breaker.model_copy(update={"leases": leases, "idle_at": idle_at})
            given.append(lease)
        return breaker, tuple(given)

    def probed(self, results: Sequence[ProbeResult], *, at: datetime, drawn: float) -> Self:
        """Take how leased calls went: enough that passed close it, one that failed opens it.

        A result without a living lease of this epoch says nothing: it is late.
        """
        breaker = self
        for result in results:
            breaker = breaker._probe_ended(result, at=at, drawn=drawn)
        return breaker

    def set_mode(self, status: BreakerStatus, mode: ModeHold) -> Self:
        """Have an operator hold the status; the same one again only tells who, why, until when.

        Args:
            status: One of the operator's.
            mode: Who, why, until when.
        """
        if status is self.status:
            return self.model_copy(update={"mode": mode, "reason": mode.reason})
        trips = self._trips_left(mode.since)
        return self._become(status, mode.reason, at=mode.since, mode=mode, trips=trips)

    def mode_ended(self, reason: str, *, at: datetime) -> Self:
        """Let the breaker decide again: open while an incident holds it, careful after an opening.

        Args:
            reason: Why it ends.
            at: The present moment.
        """
        if self.mode is None:
            return self
        if self.holds:
            return self._become(BreakerStatus.OPEN, self.holds[-1].reason, at=at)
        careful = self.status is BreakerStatus.FORCED_OPEN
        status = BreakerStatus.HALF_OPEN if careful else BreakerStatus.CLOSED
        return self._become(status, reason, at=at)

    def advanced(self, at: datetime) -> Self:
        """Do what has come due by now."""
        breaker = self
        while (due := breaker.due_at) and due <= at:
            breaker = breaker._advanced_once(at)
        return breaker

    def _advanced_once(self, at: datetime) -> Self:
        if self.mode and self.mode.until and self.mode.until <= at:
            return self.mode_ended(f"the time that {self.mode.by} gave it is over", at=at)
        if self.probes_at and self.probes_at <= at:
            return self._become(BreakerStatus.HALF_OPEN, "it is time to probe", at=at)
        if self.ramp is not None and self.ramp_ends_at and self.ramp_ends_at <= at:
            return self.model_copy(update=self._ramp_at(self.ramp + 1, at))
        if self.idle_at and self.idle_at <= at:
            return self._closed("nobody had a probe call to make", at=at)
        return self.model_copy(update={"leases": self._living(at)})

    def _lease_for(self, request: LeaseRequest, *, at: datetime) -> Lease | None:
        if self.status is not BreakerStatus.HALF_OPEN or request.epoch != self.epoch:
            return None
        living = self._living(at)
        if known := next((lease for lease in living if lease.id == request.lease_id), None):
            return known
        if len(living) + self.probes_passed >= self.rules.leases:
            return None
        expires_at = at + self.rules.lease_for
        return Lease(id=request.lease_id, reporter=request.reporter, expires_at=expires_at)

    def _living(self, at: datetime) -> tuple[Lease, ...]:
        return tuple(lease for lease in self.leases if lease.expires_at > at)

    def _probe_ended(self, result: ProbeResult, *, at: datetime, drawn: float) -> Self:
        living = self._living(at)
        others = tuple(lease for lease in living if lease.id != result.lease_id)
        if result.epoch != self.epoch or others == living:
            return self
        if result.passed is False:
            return self._opened("a probe call failed", at=at, drawn=drawn)
        passed = self.probes_passed + int(result.passed is True)
        if passed < self.rules.leases:
            return self.model_copy(update={"leases": others, "probes_passed": passed})
        reason = "a probe call passed" if passed == 1 else f"{passed} probe calls passed"
        return self._closed(reason, at=at)

    def _closed(self, reason: str, *, at: datetime) -> Self:
        return self._become(BreakerStatus.CLOSED, reason, at=at, **self._ramp_at(0, at))

    def _idle_from(self, at: datetime) -> datetime | None:
        idle_after = self.rules.idle_after
        return None if idle_after is None else at + idle_after

    def _ramp_at(self, step: int, at: datetime) -> dict[str, Any]:
        if step >= len(self.rules.ramp):
            return {"ramp": None, "ramp_ends_at": None}
        return {"ramp": step, "ramp_ends_at": at + self.rules.ramp_step}

    def _opened(self, reason: str, *, at: datetime, drawn: float, **own: Any) -> Self:
        trips = min(self._trips_left(at) + 1, NO_MORE_TRIPS_THAN)
        own |= {"trips": trips, "probes_at": at + self.rules.open_for.delay(trips, drawn=drawn)}
        return self._become(BreakerStatus.OPEN, reason, at=at, **own)

    def _become(self, status: BreakerStatus, reason: str, *, at: datetime, **own: Any) -> Self:
        """The next epoch, with what is its own; nothing of the one before goes on in it."""
        nothing: dict[str, Any] = {
            "mode": None,
            "probes_at": None,
            "leases": (),
            "probes_passed": 0,
            "idle_at": self._idle_from(at) if status is BreakerStatus.HALF_OPEN else None,
            "ramp": None,
            "ramp_ends_at": None,
        }
        transition = {"status": status, "epoch": self.epoch + 1, "since": at, "reason": reason}
        return self.model_copy(update=nothing | transition | own)

    def _trips_left(self, at: datetime) -> int:
        """How many earlier openings still count: each ``maximum`` that it was well takes one."""
        if self.status is not BreakerStatus.CLOSED or self.since is None:
            return self.trips
        forgives = max(self.rules.open_for.maximum, timedelta(seconds=1))
        # A clock that was set back must not make it look worse than it was.
        forgiven = max(at - self.since, timedelta(0)) // forgives
        return max(0, self.trips - forgiven)

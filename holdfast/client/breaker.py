"""The breaker of one service in one process: what the fleet's says, and what it sees itself.

While everything passes, a guarded call reads :attr:`LocalBreaker.passing` and counts in that
window; everything else is decided here, under a lock that is never held while anything is called.
"""

import logging
from datetime import timedelta
from threading import RLock

from holdfast.client.judgement import Judge, Verdict
from holdfast.client.own_breaker import OwnBreaker
from holdfast.client.probes import Probe, Probes
from holdfast.client.standing import Standing
from holdfast.client.surroundings import Surroundings
from holdfast.client.tally import Tally
from holdfast.client.window import Window
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import BreakerGuidance, ServiceGuidance
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.outcome import ProbeResult, ServiceOutcomes
from holdfast.errors import BreakerOpen

logger = logging.getLogger("holdfast")

# When to call again, if nothing says when that is.
SOME_TIME = timedelta(seconds=5)
SOON = timedelta(seconds=1)

_NOTHING = timedelta()


class LocalBreaker:
    """Decides in process whether a call passes, and counts how it went.

    Args:
        service: What is called.
        around: What it shares with the process's other breakers.

    Attributes:
        service: What is called.
        passing: The window to count in while every call passes; None while :meth:`admit` decides.
        clock: Monotonic seconds, by which calls are measured.
    """

    def __init__(self, service: str, around: Surroundings) -> None:
        self.service = service
        self.passing: Window | None = None
        self.clock = around.clock
        self._around = around
        self._heard = ServiceGuidance(service=service)
        self._fleet = self._alone = BreakerGuidance()
        self._probes_at: float | None = None
        self._judge = Judge(self._heard.rules)
        self._used = False
        # Re-entrant, because a signal handler or a finalizer may make guarded calls too.
        self._lock = RLock()
        self._tally = Tally(self._heard.rules, at=self.clock())
        self._begin_anew(self.clock())

    @property
    def status(self) -> BreakerStatus:
        """The fleet's, while that is not closed; else this process's own."""
        with self._lock:
            self._refresh(self.clock())
            return self._standing.status

    @property
    def retry_after(self) -> timedelta:
        """When it makes sense to call; nothing for now."""
        with self._lock:
            at = self.clock()
            self._refresh(at)
            return self._wait(at)

    def follow(self) -> None:
        """See to it that the fleet's word is heard, once somebody cares."""
        if self._used:
            return
        used = self._around.on_use()
        with self._lock:
            self._used = used
            self._see()

    def admit(self) -> Window | Probe:
        """Let a call pass, or not; whoever is let pass tells :meth:`settle` how it went.

        Raises:
            BreakerOpen: The call is not to be made.
        """
        self.follow()
        with self._lock:
            at = self.clock()
            self._refresh(at)
            admitted = self._admitted(at)
            if admitted:
                return admitted
            standing = self._standing
            asks = standing.probes and not standing.is_own and self._probes.want(at)
            rejection = BreakerOpen(
                self.service,
                reason=standing.reason,
                epoch=self._fleet.epoch,
                retry_after=self._wait(at),
            )
        if asks:
            self._around.on_urgent()
        try:
            raise rejection
        finally:
            # Its traceback holds this frame: without this they would keep each other.
            del rejection

    def judge(self, error: BaseException) -> Verdict:
        """How a call counts that ended with this exception."""
        return self._judge.verdict(type(error))

    def settle(self, admitted: Window | Probe, how: Verdict, *, took: float) -> None:
        """Take how an admitted call went, unless the guard has counted it already.

        Args:
            admitted: What :meth:`admit` or :attr:`passing` gave.
            how: As the guard judges it.
            took: How long the call took, in seconds.
        """
        with self._lock:
            at = self.clock()
            self._refresh(at)
            epoch, slow = self._own.epoch, took > self._tally.window.slow_after
            urgent = False
            if isinstance(admitted, Probe):
                urgent = self._settle_probe(admitted, how, slow=slow, at=at)
            else:
                self._settle_call(admitted, how, slow=slow, at=at)
            if epoch != self._own.epoch:
                self._turn(at)
            news = epoch != self._own.epoch and (self._own.status, self._own.reason)
        if urgent:
            self._around.on_urgent()
        if news:
            _log(self.service, *news)

    def hear(self, guidance: ServiceGuidance) -> None:
        """Go by what the fleet's breaker says from now on."""
        with self._lock:
            at = self.clock()
            before, self._heard = self._heard, guidance
            self._alone = BreakerGuidance(epoch=guidance.breaker.epoch)
            self._probes_at = self._around.probes_at(guidance, at=at)
            if guidance.rules != before.rules:
                self._judge = Judge(guidance.rules)
                self._own.ruled(guidance.rules)
                self._turn(at)
            self._refresh(at)

    def refresh(self) -> None:
        """Notice that contact with Holdfast was lost, or is back."""
        with self._lock:
            self._refresh(self.clock())

    def take_outcomes(self) -> ServiceOutcomes | None:
        """The calls that ended since the last taking; None if there were none."""
        with self._lock:
            self._refresh(self.clock())
            if self._fleet.status is BreakerStatus.DISABLED:
                self._tally.forget()
            return self._tally.take(self.service)

    def take_probes(self) -> list[ProbeResult]:
        """How probe calls of the fleet's went since the last taking."""
        with self._lock:
            return self._probes.take_results()

    def wanted_lease(self) -> LeaseRequest | None:
        """What to ask the fleet, if a call was rejected that could have been its probe."""
        with self._lock:
            around = self._around
            return self._probes.request(
                reporter=around.reporter,
                epoch=self._fleet.epoch,
                at=self.clock(),
                draw=around.draw,
            )

    def lease_answered(self, request: LeaseRequest, expires_in: timedelta | None) -> None:
        """Take the fleet's answer.

        Args:
            request: What was asked.
            expires_in: How long the lease is good for; None if there was none.
        """
        with self._lock:
            at = self.clock()
            self._refresh(at)
            is_late = request.epoch != self._fleet.epoch
            if is_late or self._fleet.status is not BreakerStatus.HALF_OPEN or not expires_in:
                return
            until = at + expires_in.total_seconds()
            self._probes.granted(request.lease_id, until=until, window=self._tally.window, at=at)

    def after_fork(self) -> None:
        """Begin anew in a new process: what the old one counted is the old one's to tell."""
        self._lock = RLock()
        self._used = False
        self._tally.forget()
        self._begin_anew(self.clock())

    def _admitted(self, at: float) -> Window | Probe | None:
        standing = self._standing
        if standing.rejects:
            return None
        if standing.probes:
            return self._probes.take(at) or (self._own_probe(at) if standing.is_own else None)
        passes = standing.passes or self._around.draw() < standing.share
        return self._tally.window if passes else None

    def _own_probe(self, at: float) -> Probe | None:
        lease_id = self._own.lease(at)
        if lease_id is None:
            return None
        expires_at = at + self._heard.rules.lease_for.total_seconds()
        return Probe(lease_id, expires_at=expires_at, of_fleet=False, window=self._tally.window)

    def _settle_call(self, window: Window, how: Verdict, *, slow: bool, at: float) -> None:
        # A late call of an earlier epoch says nothing of the present one.
        if window is not self._tally.window or how is Verdict.UNCOUNTED:
            return
        failed = how is Verdict.FAILED
        window.note(failed=failed, slow=slow, at=at)
        if not (failed or slow) or self._standing.status is not BreakerStatus.CLOSED:
            return
        if reason := self._tally.reason_to_open(self._heard.rules, at=at):
            self._own.trip(reason, at=at, drawn=self._around.draw())

    def _settle_probe(self, probe: Probe, how: Verdict, *, slow: bool, at: float) -> bool:
        """Whether the fleet is to hear of it at once."""
        if probe.window is not self._tally.window:
            return False
        if how is Verdict.UNCOUNTED:
            self._probes.give_back(probe, at=at)
            return False
        failed = how is Verdict.FAILED
        self._tally.window.note(failed=failed, slow=slow, at=at)
        passed = not failed and not slow
        if not probe.of_fleet:
            drawn = self._around.draw()
            self._own.probed(probe.lease_id, passed=passed, at=at, drawn=drawn)
            return False
        self._probes.tell(probe, service=self.service, passed=passed)
        return True

    def _refresh(self, at: float) -> None:
        """Do what has come due, and let go of the fleet's word when out of contact too long."""
        fleet = self._alone if self._around.is_lost(at) else self._heard.breaker
        if fleet is self._fleet and at < self._own.due:
            return
        before, self._fleet = self._fleet, fleet
        if (fleet.epoch, fleet.status) != (before.epoch, before.status):
            if before.status is BreakerStatus.DISABLED:
                # What was counted then counts for nothing.
                self._tally.forget()
            self._begin_anew(at)
        epoch = self._own.epoch
        self._own.advance(at)
        if epoch != self._own.epoch:
            self._turn(at)
        self._see()

    def _begin_anew(self, at: float) -> None:
        self._own = OwnBreaker(self.service, self._heard.rules)
        self._turn(at)

    def _turn(self, at: float) -> None:
        self._tally.turn(self._heard.rules, epoch=self._fleet.epoch, at=at)
        self._probes = Probes()
        self._see()

    def _see(self) -> None:
        self._standing = Standing.of(self._fleet, self._own)
        self.passing = self._tally.window if self._standing.passes and self._used else None

    def _wait(self, at: float) -> timedelta:
        standing = self._standing
        if standing.share > 0:
            return _NOTHING if standing.passes else SOON
        if standing.is_own:
            return self._own.probes_in(at) if standing.rejects else SOON
        if standing.probes:
            return self._probes.asks_in(at)
        if self._probes_at is None:
            return SOME_TIME
        return timedelta(seconds=max(0.0, self._probes_at - at))


def _log(service: str, status: BreakerStatus, reason: str) -> None:
    if status is BreakerStatus.OPEN:
        logger.warning("The breaker of %s opened in this process: %s", service, reason)
    elif status is BreakerStatus.CLOSED:
        logger.info("The breaker of %s closed again in this process: %s", service, reason)

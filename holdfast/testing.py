"""Owns what a service's tests use in place of Holdfast: a client that talks to nobody.

As a pytest fixture::

    @pytest.fixture
    def holdfast():
        with FakeHoldfast() as fake:
            yield fake
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from holdfast.client.entry import Entry, circumstances_of, claimed, describe, encode
from holdfast.client.holdfast import Holdfast
from holdfast.client.switchboard import Switchboard
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.guidance import BreakerGuidance, ServiceGuidance
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.report import Report

_START = datetime(2026, 1, 1, tzinfo=UTC)
_REPORTER = "tests"


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self._passed = timedelta()
        self._followers: list[Callable[[], None]] = []

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self._passed.total_seconds()

    @property
    def now(self) -> datetime:
        """The time of day, in UTC."""
        return _START + self._passed

    def advance(self, duration: timedelta) -> None:
        """Let that much time pass."""
        self._passed += duration
        for follower in self._followers:
            follower()

    def follow(self, follower: Callable[[], None]) -> None:
        """Have something called after each move."""
        self._followers.append(follower)


class FakeHoldfast(Holdfast):
    """A :class:`holdfast.client.Holdfast` for tests: it sends nothing and starts no thread.

    Guards, retries and features work as they do in the service, with nothing left to chance: no
    random number but 0 is drawn, and retries don't wait, but move the clock. What only the fleet
    could say, the test says: which breakers are open, and which features are off. From there it
    plays the fleet: an open breaker probes when its time has come, probe calls that pass close it,
    and one that fails opens it again for five seconds.

    Args:
        service: The service under test, which reports and whose features are meant.
        clock: Moved by the test; one of its own if not given.

    Attributes:
        reports: What was reported, in order, as Holdfast would have it.
        clock: By which calls are slow, windows move on, and open breakers probe.
    """

    def __init__(self, *, service: str = "tests", clock: ManualClock | None = None) -> None:
        self.reports: list[Report] = []
        self.clock = clock or ManualClock()
        self._fleet: dict[str, CircuitBreaker] = {}
        self._off: dict[str, frozenset[str]] = {}
        self.clock.follow(self._advance)
        super().__init__(
            "http://holdfast.invalid",
            "no-key",
            service=service,
            spill=None,
            off=False,
            environment={},
        )

    def report(self, error: BaseException | str, **told: Any) -> None:
        """Keep the report in :attr:`reports`; see :meth:`holdfast.client.Holdfast.report`.

        Raises:
            TypeError: For an argument that a report does not have.
        """
        service = told.pop("service", None) or self.service
        circumstances = circumstances_of(
            told.pop("context", None),
            user=told.pop("user", None),
            trace_id=told.pop("trace_id", None),
        )
        unknown = told.keys() - {"error_type", "category", "severity", "fingerprint", "labels"}
        if unknown:
            raise TypeError(f"a report has no {', '.join(sorted(unknown))}")
        if not isinstance(error, str):
            claimed(error, by="report")
        fields: dict[str, Any] = {"fingerprint": None, "labels": None, "service": service} | told
        at = self.clock.now.timestamp()
        entry = Entry(describe(error, **fields), at=at, circumstances=circumstances)
        self.reports += [Report.model_validate_json(written) for written, _ in encode(entry)]

    def open_breaker(
        self, service: str, *, reason: str = "a test opened it", probes_in: timedelta | None = None
    ) -> None:
        """Have every guarded call of the service rejected.

        Args:
            service: What is called.
            reason: What ``BreakerOpen`` says.
            probes_in: When it lets a probe call through; never if not given.
        """
        probes_at = self.clock.now + probes_in if probes_in else None
        self._have(service, BreakerStatus.OPEN, reason=reason, probes_at=probes_at)

    def half_open_breaker(self, service: str, *, leases: int = 1) -> None:
        """Let so many calls of the service through as probes, and decide by how they go.

        Args:
            service: What is called.
            leases: How many probe calls may be under way, and must pass.
        """
        self._have(service, BreakerStatus.HALF_OPEN, reason="a test probes", leases=leases)

    def close_breaker(self, service: str) -> None:
        """Let every call of the service through again."""
        self._have(service, BreakerStatus.CLOSED, reason="a test closed it")

    def switch_off(self, *features: str, service: str | None = None) -> None:
        """Have features be off, of the service under test if no other is given."""
        name = service or self.service or _REPORTER
        self._off[name] = self._off.get(name, frozenset()).union(features)
        self._tell(name)

    def switch_on(self, *features: str, service: str | None = None) -> None:
        """Have features be on again."""
        name = service or self.service or _REPORTER
        self._off[name] = self._off.get(name, frozenset()).difference(features)
        self._tell(name)

    def _hire(self) -> None:
        self._switchboard = Switchboard(
            reporter=_REPORTER,
            service=self.service,
            grace=timedelta.max,
            clock=self.clock,
            sleep=lambda seconds: self.clock.advance(timedelta(seconds=seconds)),
            draw=lambda: 0.0,
            now=lambda: self.clock.now,
        )
        super()._hire()
        self._switchboard.on_first_use = None
        self._switchboard.on_urgent = self._answer
        self._switchboard.heard([], whole=True)

    def _have(
        self,
        service: str,
        status: BreakerStatus,
        *,
        reason: str,
        leases: int = 1,
        probes_at: datetime | None = None,
    ) -> None:
        before = self._fleet.get(service) or CircuitBreaker(service=service)
        self._fleet[service] = CircuitBreaker(
            service=service,
            status=status,
            epoch=before.epoch + 1,
            since=self.clock.now,
            reason=reason,
            rules=BreakerRules(leases=leases, ramp=()),
            probes_at=probes_at,
        )
        self._tell(service)

    def _tell(self, service: str) -> None:
        breaker = self._fleet.get(service)
        guidance = ServiceGuidance(
            service=service,
            breaker=BreakerGuidance.of(breaker) if breaker else BreakerGuidance(),
            features_off=tuple(sorted(self._off.get(service, ()))),
        )
        self._switchboard.heard([guidance], whole=False)
        if breaker and breaker.status is BreakerStatus.HALF_OPEN and not breaker.leases:
            # Before anyone asks, so that the next calls are the probes.
            for _ in range(breaker.rules.leases):
                lease_id = uuid4().hex
                request = LeaseRequest(lease_id=lease_id, reporter=_REPORTER, epoch=breaker.epoch)
                self._lease(request, service)

    def _answer(self) -> None:
        """Do what the fleet does with what is urgent: leases and the results of probes."""
        for service, request in self._switchboard.wanted_leases():
            self._lease(request, service)
        batch = self._switchboard.take_outcomes()
        for result in batch.probes if batch else ():
            breaker = self._fleet[result.service]
            self._fleet[result.service] = breaker.probed([result], at=self.clock.now, drawn=0.5)
            self._tell(result.service)

    def _advance(self) -> None:
        for service, breaker in list(self._fleet.items()):
            self._fleet[service] = breaker.advanced(self.clock.now)
            if self._fleet[service].epoch != breaker.epoch:
                self._tell(service)

    def _lease(self, request: LeaseRequest, service: str) -> None:
        now = self.clock.now
        breaker, (lease,) = self._fleet[service].leased([request], at=now)
        self._fleet[service] = breaker
        expires_in = lease.expires_at - now if lease else None
        self._switchboard.lease_answered(service, request, expires_in)

"""The switchboard: everything that a process decides by, as Holdfast last told it.

The callers' threads ask it, the stream's thread tells it news, the courier's thread takes from it
what the fleet should know. It does no I/O of its own.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import inf
from threading import Event, RLock

from holdfast.client.breaker import LocalBreaker
from holdfast.client.retry import RetryBudget
from holdfast.client.surroundings import Surroundings
from holdfast.client.telling import Telling
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import BreakerGuidance, ServiceGuidance
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.model import NAME
from holdfast.domain.outcome import OutcomeBatch
from holdfast.errors import InvalidInput

logger = logging.getLogger("holdfast")

GRACE = timedelta(seconds=15)

_UNKNOWN = BreakerGuidance()
_OFF = BreakerGuidance(status=BreakerStatus.DISABLED, reason="Holdfast is off")

Listener = Callable[[ServiceGuidance], None]


class Switchboard:
    """The breakers and features of a process.

    Args:
        reporter: Names the process to Holdfast, for as long as it lives.
        service: The process's own, whose features :meth:`feature` means.
        off: Lets every call pass, counts nothing, and leaves every feature on.
        grace: How long out of contact the fleet's word still holds; from then on each process
            goes by what it sees itself, and features stay as they are.
        clock: Monotonic seconds.
        sleep: Waits before a retry, if that is not for the system's clock; for tests.
        draw: Uniform random numbers in [0, 1).
        now: The time of day.

    Attributes:
        budget: What bounds the retries of guards without a budget of their own.
        sleep: As given.
        on_first_use: Called at the first guarded call, feature or subscription; again at a later
            one if it gives False.
        on_urgent: Called when outcomes or leases should not wait for the second to be over.
    """

    def __init__(
        self,
        *,
        reporter: str,
        service: str | None,
        off: bool = False,
        grace: timedelta = GRACE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        draw: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.on_first_use: Callable[[], bool] | None = None
        self.on_urgent: Callable[[], None] | None = None
        self.budget = RetryBudget(clock=clock)
        self.sleep = sleep
        self._service = service
        self._around = Surroundings(
            clock=clock,
            draw=draw,
            now=now,
            reporter=reporter,
            grace=inf if off else grace.total_seconds(),
            on_use=self._use,
            on_urgent=self._hurry,
        )
        self._breakers: dict[str, LocalBreaker] = {}
        self._guidance: dict[str, ServiceGuidance] = {}
        self._features_off: dict[str | None, frozenset[str]] = {}
        self._off = off
        self._knows_all = off
        self._told = Event()
        self._listeners: tuple[Listener, ...] = ()
        self._telling = Telling(clock)
        self._used = False
        # Re-entrant, because a signal handler or a finalizer may make guarded calls too.
        self._lock = RLock()

    @property
    def clock(self) -> Callable[[], float]:
        """Monotonic seconds, as the breakers count them."""
        return self._around.clock

    @property
    def draw(self) -> Callable[[], float]:
        """Uniform random numbers in [0, 1)."""
        return self._around.draw

    def breaker(self, name: str) -> LocalBreaker:
        """The breaker in front of a service; always the same one.

        Raises:
            InvalidInput: The name can't be a service's.
        """
        known = self._breakers.get(name)
        return known or self._new_breaker(name)

    def feature(self, name: str, *, default: bool, service: str | None) -> bool:
        """Whether a feature is on.

        Args:
            name: The feature's.
            default: What holds while nothing was heard of Holdfast yet.
            service: Whose; the process's own if None.
        """
        if not self._used:
            self._use()
        off = self._features_off.get(service or self._service)
        if off is not None:
            return name not in off
        # A service of which Holdfast knows nothing has nothing off.
        return True if self._knows_all else default

    def subscribe(self, callback: Listener) -> Callable[[], None]:
        """Have changes told, on the stream's thread.

        Args:
            callback: Called with what holds from now on of the service that changed.

        Returns:
            A function that ends the subscription.
        """

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        # Wrapped, so that one that is given twice is told twice, and each can end.
        def listener(guidance: ServiceGuidance) -> None:
            callback(guidance)

        with self._lock:
            self._listeners += (listener,)
        self._use()
        return unsubscribe

    def wait_told(self, timeout: timedelta) -> bool:
        """Wait until Holdfast has told how things stand; false when that takes longer."""
        self._use()
        return self._knows_all or self._told.wait(timeout.total_seconds())

    def heard(self, services: Sequence[ServiceGuidance], *, whole: bool) -> None:
        """Take news.

        Args:
            services: What holds from now on of each.
            whole: Whether that is all there is: of services that are missing nothing is known.
        """
        with self._lock:
            if self._around.contact_at == -inf:
                self._around.contact_at = self._around.clock()
            news = {each.service: each for each in services}
            if whole:
                gone = (self._guidance.keys() | self._breakers.keys()) - news.keys()
                news |= {name: ServiceGuidance(service=name) for name in gone}
                self._knows_all = True
                self._told.set()
            changed = [each for name, each in news.items() if each != self._known(name)]
            self._guidance |= news
            for name, each in news.items():
                self._features_off[name] = frozenset(each.features_off)
            breakers = [(self._breakers.get(each.service), each) for each in changed]
        for breaker, guidance in breakers:
            if breaker:
                breaker.hear(guidance)
        self._tell_listeners(changed)

    def contact(self) -> None:
        """Take a sign of life of Holdfast's: what was heard holds."""
        around = self._around
        at = around.clock()
        was_lost = around.is_lost(at)
        around.contact_at = at
        if was_lost:
            for breaker in self._all_breakers():
                breaker.refresh()

    def take_outcomes(self) -> OutcomeBatch | None:
        """What is to be told by now; None if there is nothing."""
        breakers = self._all_breakers()
        taken = [outcomes for each in breakers if (outcomes := each.take_outcomes())]
        probes = [result for each in breakers for result in each.take_probes()]
        return self._telling.batch(self._around.reporter, taken, probes)

    def give_back(self, batch: OutcomeBatch, *, probes_only: bool = False) -> None:
        """Take back what could not be sent; it is told with the next, unless it is old by then.

        Args:
            batch: As :meth:`take_outcomes` gave it.
            probes_only: Whether the sums are not to be told again.
        """
        self._telling.give_back(batch, probes_only=probes_only)

    def wanted_leases(self) -> list[tuple[str, LeaseRequest]]:
        """Which services are to be asked for the right to make a probe call; each once."""
        asked = [(each.service, each.wanted_lease()) for each in self._all_breakers()]
        return [(service, request) for service, request in asked if request]

    def lease_answered(
        self, service: str, request: LeaseRequest, expires_in: timedelta | None
    ) -> None:
        """Take the answer to such a request.

        Args:
            service: That was asked for.
            request: As :meth:`wanted_leases` gave it.
            expires_in: How long the lease is good for; None if there was none.
        """
        self.breaker(service).lease_answered(request, expires_in)

    def after_fork(self, reporter: str) -> None:
        """Go on in a new process: what the old one counted, wanted and held stays the old one's.

        Args:
            reporter: Names the new process.
        """
        self._lock = RLock()
        self._told = Event()
        self._around.reporter = reporter
        self._telling = Telling(self._around.clock)
        self._used = False
        for breaker in self._all_breakers():
            breaker.after_fork()

    def _new_breaker(self, name: str) -> LocalBreaker:
        if not re.fullmatch(NAME, name):
            message = f"{name!r} is no service's name: letters, digits, '.', '_' and '-'"
            raise InvalidInput(message, field="name")
        with self._lock:
            if name not in self._breakers:
                breaker = LocalBreaker(name, self._around)
                breaker.hear(self._known(name))
                self._breakers[name] = breaker
            return self._breakers[name]

    def _known(self, name: str) -> ServiceGuidance:
        known = self._guidance.get(name)
        return known or ServiceGuidance(service=name, breaker=_OFF if self._off else _UNKNOWN)

    def _all_breakers(self) -> list[LocalBreaker]:
        return list(self._breakers.values())

    def _use(self) -> bool:
        with self._lock:
            used, self._used = self._used, True
        if not used and self.on_first_use:
            self._used = self.on_first_use()
        return self._used

    def _hurry(self) -> None:
        if self.on_urgent:
            self.on_urgent()

    def _tell_listeners(self, changed: Sequence[ServiceGuidance]) -> None:
        for guidance in changed:
            for listener in self._listeners:
                try:
                    listener(guidance)
                except Exception:  # A subscriber's fault must not end the stream's thread.
                    logger.exception("A subscriber to Holdfast's changes failed")

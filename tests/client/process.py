"""A process of a fleet: a switchboard on a clock that the test moves, told what the test tells."""

from datetime import timedelta

from holdfast.client.guard import Guard
from holdfast.client.switchboard import Switchboard
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.guidance import BreakerGuidance, ServiceGuidance
from holdfast.errors import BreakerOpen
from holdfast.testing import ManualClock

SERVICE = "payments"
GRACE = timedelta(seconds=15)
RULES = BreakerRules(minimum_calls=4)


class Refused(Exception):
    """What the called service answers while it is down."""


class Process:
    def __init__(self, *, rules=RULES, reporter="me", drawn=0.5, off=False, heard=True, clock=None):
        self.clock = clock or ManualClock()
        self.drawn = drawn
        self.urgent = 0
        self.uses = 0
        self.rules = rules
        self.epoch = 0
        self.switchboard = Switchboard(
            reporter=reporter,
            service="shop",
            off=off,
            grace=GRACE,
            clock=self.clock,
            sleep=lambda seconds: self.clock.advance(timedelta(seconds=seconds)),
            draw=lambda: self.drawn,
            now=lambda: self.clock.now,
        )
        self.switchboard.on_urgent = self._hurry
        self.switchboard.on_first_use = self._use
        if heard:
            self.hear(BreakerStatus.CLOSED)

    def _hurry(self):
        self.urgent += 1

    def _use(self):
        self.uses += 1
        return True

    @property
    def breaker(self):
        return self.switchboard.breaker(SERVICE)

    @property
    def status(self):
        return self.breaker.status

    def hear(self, status, *, epoch=None, service=SERVICE, **fields):
        """The fleet's breaker changes, by default to the next epoch."""
        self.epoch = self.epoch + 1 if epoch is None else epoch
        breaker = BreakerGuidance(status=status, epoch=self.epoch, reason="why", **fields)
        guidance = ServiceGuidance(service=service, breaker=breaker, rules=self.rules)
        self.switchboard.heard([guidance], whole=False)
        self.switchboard.contact()

    def wait(self, **duration):
        """Time passes, in contact."""
        self.clock.advance(timedelta(**duration))
        self.switchboard.contact()

    def call(self, error=None, *, took=timedelta(), **options):
        """Make one guarded call; a rejected one gives the BreakerOpen, a failed one its error."""

        def function():
            self.clock.advance(took)
            if error:
                raise error
            return "answer"

        try:
            return Guard(self.switchboard, SERVICE, **options)(function)()
        except (BreakerOpen, Refused, ValueError) as raised:
            return raised

    def fail(self, times=4):
        """So many calls fail; at four the breaker opens."""
        return [self.call(Refused()) for _ in range(times)]

    def rejects(self):
        return isinstance(self.call(), BreakerOpen)

    def lease(self, *, seconds=10.0):
        """What is asked for is granted; how many leases that were."""
        wanted = self.switchboard.wanted_leases()
        for service, request in wanted:
            self.switchboard.lease_answered(service, request, timedelta(seconds=seconds))
        return len(wanted)

    def told(self):
        """The batch that would be posted now."""
        return self.switchboard.take_outcomes()

    def sums(self):
        """Calls, failures and slow calls of the batch that would be posted now."""
        batch = self.told()
        [outcomes] = batch.outcomes if batch else [None]
        return outcomes and (outcomes.calls, outcomes.failures, outcomes.slow)

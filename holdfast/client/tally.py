"""The tally: what a breaker counts, and has not told the fleet yet."""

from holdfast.client.window import Sums, Window
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.outcome import Outcomes, ServiceOutcomes, verdict

_ALONE = "this process"


class Tally:
    """The present window, and what earlier ones of the same epoch of the fleet's have left.

    Its breaker's lock guards it.

    Args:
        rules: The breaker's.
        at: The present moment, in the clock's seconds.

    Attributes:
        window: Where calls that are admitted now are counted.
    """

    def __init__(self, rules: BreakerRules, *, at: float) -> None:
        self.window = Window(rules, epoch=0, at=at)
        self._left = Sums()

    def turn(self, rules: BreakerRules, *, epoch: int, at: float) -> None:
        """Begin another window: what was admitted before says nothing of what comes now."""
        # Of another epoch the fleet wants no news, and Holdfast would not take them.
        same = epoch == self.window.epoch
        self._left = self._left.plus(self.window.take()) if same else Sums()
        self.window = Window(rules, epoch=epoch, at=at)

    def forget(self) -> None:
        """Have what was counted so far not be told."""
        self.window.take()
        self._left = Sums()

    def take(self, service: str) -> ServiceOutcomes | None:
        """What is to be told, once; None if there was no call."""
        sums = self._left.plus(self.window.take())
        self._left = Sums()
        if not sums.calls:
            return None
        return ServiceOutcomes(service=service, epoch=self.window.epoch, **sums._asdict())

    def reason_to_open(self, rules: BreakerRules, *, at: float) -> str | None:
        """Why the breaker is to open on what this process sees; None while it is not."""
        sums = self.window.sums(at)
        if not sums.may_trip(rules):
            return None
        outcomes = Outcomes(calls=sums.calls, failures=sums.failures, slow=sums.slow)
        return verdict(rules, {_ALONE: outcomes})

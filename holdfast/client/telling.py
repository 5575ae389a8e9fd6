"""What the fleet is to be told of guarded calls: kept a few seconds while it can't be sent."""

from collections.abc import Callable, Iterable
from threading import RLock

from holdfast.domain.outcome import OutcomeBatch, ProbeResult, ServiceOutcomes

# What is older says nothing of the present, and the window has moved on.
OLDEST = 5.0
MOST = 1000

Item = ServiceOutcomes | ProbeResult
Items = list[tuple[float, Item]]


class Telling:
    """Outcomes and probe results on their way; each with the second in which it was taken.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: Items = []
        self._sent: tuple[OutcomeBatch, Items] | None = None
        self._lock = RLock()

    def batch(
        self, reporter: str, outcomes: Iterable[ServiceOutcomes], probes: Iterable[ProbeResult]
    ) -> OutcomeBatch | None:
        """Put together what was taken just now and what came back, as far as it is young enough.

        Args:
            reporter: Names the process.
            outcomes: Of each service, since the last batch.
            probes: Since the last batch.
        """
        with self._lock:
            at = self._clock()
            news: list[Item] = [*outcomes, *probes]
            self._waiting += [(at, each) for each in news]
            young = [(when, each) for when, each in self._waiting if at - when <= OLDEST]
            if not young:
                self._waiting = []
                return None
            batch, sent, self._waiting = _fill(reporter, young)
            self._sent = (batch, sent)
            return batch

    def give_back(self, batch: OutcomeBatch, *, probes_only: bool) -> None:
        """Take back the batch that was made last."""
        with self._lock:
            if self._sent and self._sent[0] is batch:
                items = self._sent[1]
                self._waiting += [
                    each for each in items if not probes_only or isinstance(each[1], ProbeResult)
                ]
                self._sent = None


def _fill(reporter: str, items: Items) -> tuple[OutcomeBatch, Items, Items]:
    """A batch of as much as one may hold, what is in it, and what is left for the next."""
    sums: dict[tuple[str, int], ServiceOutcomes] = {}
    probes: list[ProbeResult] = []
    sent: Items = []
    left: Items = []
    for when, item in items:
        if isinstance(item, ProbeResult):
            room = len(probes) < MOST
            probes += [item] * room
        else:
            key = (item.service, item.epoch)
            room = key in sums or len(sums) < MOST
            if room:
                sums[key] = _added(sums[key], item) if key in sums else item
        (sent if room else left).append((when, item))
    batch = OutcomeBatch(reporter=reporter, outcomes=tuple(sums.values()), probes=tuple(probes))
    return batch, sent, left


def _added(one: ServiceOutcomes, other: ServiceOutcomes) -> ServiceOutcomes:
    together = (one + other).model_dump()
    return ServiceOutcomes(service=one.service, epoch=one.epoch, **together)

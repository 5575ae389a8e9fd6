"""Owns what a benchmark finds: comparisons with a peer, and plain facts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

AIM = 1.5


@dataclass(frozen=True)
class Comparison:
    """One measure of both peers.

    Attributes:
        more_is_better: For rates; else less is, as for times.
        aim: How many times worse than the peer Holdfast may be; None for what is only told.
    """

    name: str
    unit: str
    holdfast: float
    peer: float
    more_is_better: bool = False
    aim: float | None = AIM

    @property
    def ratio(self) -> float:
        """How many times worse Holdfast is."""
        ours, peers = self.holdfast, self.peer
        return peers / ours if self.more_is_better else ours / peers

    @property
    def met(self) -> bool | None:
        """Whether the aim is met."""
        return None if self.aim is None else self.ratio <= self.aim


@dataclass(frozen=True)
class Fact:
    """One measure of Holdfast alone.

    Attributes:
        at_most: The aim, if there is one.
    """

    name: str
    value: float
    unit: str
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met."""
        return None if self.at_most is None else self.value <= self.at_most


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    Attributes:
        notes: What a reader must know to read the numbers right.
        peer: What the comparisons compare with.
    """

    title: str
    comparisons: Sequence[Comparison] = ()
    facts: Sequence[Fact] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    peer: str = "bare SDK"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many of the values do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def latencies(
    name: str, *, holdfast: Sequence[float], bare: Sequence[float], aim: float | None = AIM
) -> list[Comparison]:
    """Median and 99th percentile of both, from seconds to milliseconds."""
    return [
        Comparison(
            f"{name}, p{round(share * 100)}",
            "ms",
            percentile(holdfast, share) * 1000,
            percentile(bare, share) * 1000,
            aim=aim,
        )
        for share in (0.5, 0.99)
    ]


def of_which(name: str, *, holdfast: Sequence[float], bare: Sequence[float]) -> Comparison:
    """The median of a part of what is measured, told without an aim of its own."""
    ours, peers = percentile(holdfast, 0.5) * 1000, percentile(bare, 0.5) * 1000
    return Comparison(f"  {name}, p50", "ms", ours, peers, aim=None)

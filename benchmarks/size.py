"""Owns how much is measured."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        warm_up: Errors before a measure begins, for each peer.
        blocks: How often the peers take turns in measuring single errors.
        block: Errors one after the other in a turn.
        rounds: How often the peers take turns in throughput.
        distinct: Distinct errors in a round.
        incidents: Incidents whose histories are counted.
        storm: How long each storm blows.
        pace: How long incidents come at each pace, for each peer.
        fewest_paced: How many they are at least.
    """

    warm_up: int = 15
    blocks: int = 8
    block: int = 25
    rounds: int = 3
    distinct: int = 200
    incidents: int = 5
    storm: timedelta = timedelta(seconds=5)
    pace: timedelta = timedelta(seconds=20)
    fewest_paced: int = 50


QUICK = Size(
    warm_up=5,
    blocks=3,
    block=10,
    rounds=1,
    distinct=100,
    incidents=2,
    storm=timedelta(seconds=2),
    pace=timedelta(seconds=5),
    fewest_paced=15,
)

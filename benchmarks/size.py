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
        turns: How often peers take turns in measuring calls within one process.
        calls: Calls in such a turn.
        trips: How often a whole fleet's breaker trips.
        clients: How many clients a fleet has.
        streams: How many connections listen to one API process.
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
    turns: int = 15
    calls: int = 50_000
    trips: int = 10
    clients: int = 200
    streams: int = 1000


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
    turns=5,
    calls=20_000,
    trips=3,
    clients=50,
    streams=200,
)

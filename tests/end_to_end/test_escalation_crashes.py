"""Kill the worker between any two steps of an escalation: every level is paged, in its order.

Each spot is an incident of its own, at one point between two steps when the worker is killed.
"""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from examples.stand_ins.webhooks import WebhookReceiver
from standalone.system import System
from tests.end_to_end.conftest import temporary_home
from tests.end_to_end.spots import (
    LEVELS,
    SECRET,
    SPOTS,
    TAKEN,
    Crash,
    Outcome,
    Point,
    Spot,
    expected,
    run,
    write_policy,
)
from tests.end_to_end.town import calling


@pytest.fixture(scope="module")
async def outcomes() -> AsyncIterator[dict[Spot, Outcome]]:
    """What became of every spot after one kill of the worker."""
    with temporary_home() as home:
        async with WebhookReceiver(SECRET) as receiver:
            policy = write_policy(home, receiver.url)
            environment = {"HOLDFAST_CONFIG": str(policy), "HOOK_SECRET": SECRET}
            async with (
                System.on_free_ports(home, environment=environment, say=print) as system,
                calling(system) as caller,
            ):
                crash = Crash(receiver)
                receiver.on_arrival = crash.answer
                yield await run(caller, crash)
        assert receiver.refusals == []


def names(spots: list[Spot]) -> list[str]:
    return [str(spot) for spot in spots]


@pytest.mark.parametrize("spot", SPOTS, ids=names(SPOTS))
async def test_every_level_is_paged_in_its_order(outcomes: dict[Spot, Outcome], spot: Spot) -> None:
    """Wherever the worker was killed; a level's place is where its page came first."""
    once = dict.fromkeys((each.id, each.path.removeprefix("/")) for each in outcomes[spot].pages)
    assert [level for _, level in once] == expected(spot)


@pytest.mark.parametrize("spot", SPOTS, ids=names(SPOTS))
async def test_only_what_was_in_flight_comes_twice(
    outcomes: dict[Spot, Outcome], spot: Spot
) -> None:
    """The send that nobody knows the end of is done again under its id, and no other is.

    An answer may have reached the worker and died with it, so what was just answered may come
    again; what was on the record never does.
    """
    twice = Counter(each.id for each in outcomes[spot].pages) - Counter(
        {each.id for each in outcomes[spot].pages}
    )
    of_level = {
        each.id for each in outcomes[spot].pages if each.path == f"/{LEVELS[spot.level - 1]}"
    }
    match spot.point:
        case Point.IN_FLIGHT:
            assert twice == Counter(of_level)
        case Point.ANSWERED | Point.ACCEPTED:
            assert twice <= Counter(of_level)
        case _:
            assert not twice


@pytest.mark.parametrize("spot", SPOTS, ids=names(SPOTS))
async def test_the_record_has_every_step_once(outcomes: dict[Spot, Outcome], spot: Spot) -> None:
    """What the next worker does again, it does not note again."""
    events = outcomes[spot].events
    assert events["incident.opened"] == 1
    assert events["escalation.level_paged"] == len(expected(spot))
    pages = len(expected(spot))
    news = len({each.id for each in outcomes[spot].news})
    assert events["notification.sent"] in {pages, pages + news}
    assert events["notification.failed"] == 0


@pytest.mark.parametrize("point", sorted(TAKEN))
async def test_an_acknowledgement_outlives_the_worker(
    outcomes: dict[Spot, Outcome], point: Point
) -> None:
    """Sent or answered as the worker dies, it stands: no further level is paged, and it is told."""
    found = outcomes[Spot(point)]
    assert found.incident["acknowledged_by"] == "ada"
    assert found.events["incident.acknowledged"] == 1
    assert {each.type for each in found.news} <= {"incident.acknowledged"}

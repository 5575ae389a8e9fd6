"""Who holds, until they let go."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.holds import Hold, held, released

NOW = datetime(2026, 3, 1, tzinfo=UTC)
IDS = st.sampled_from("abc")
EVENTS = st.lists(st.tuples(st.sampled_from(["hold", "release"]), IDS), max_size=20)


def hold(incident_id, level=1):
    return Hold(incident_id=incident_id, reason="why", since=NOW, level=level)


@given(EVENTS)
def test_an_incident_holds_once_until_it_lets_go(events):
    """However often it asks; who lets go without holding changes nothing."""
    holds, holding = (), set()
    for event, incident_id in events:
        if event == "hold":
            holds = held(holds, hold(incident_id))
            holding.add(incident_id)
        else:
            holds = released(holds, incident_id)
            holding.discard(incident_id)
        assert sorted(each.incident_id for each in holds) == sorted(holding)


def test_a_later_wish_takes_the_earlier_ones_place():
    """An incident may want more than it did."""
    assert held(held((), hold("a", 1)), hold("a", 3)) == (hold("a", 3),)

"""A breaker that is open for as long as an incident holds it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.holds import Hold

START = datetime(2026, 3, 1, tzinfo=UTC)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["hold", "release"]), st.sampled_from("abc")), max_size=20
)


def closed():
    return CircuitBreaker(service="channels")


def hold(incident_id):
    return Hold(incident_id=incident_id, reason="why", since=START)


@given(EVENTS)
def test_a_breaker_is_open_exactly_while_somebody_holds_it(events):
    """The epoch counts the changes, and ``since`` dates the last of them."""
    breaker, holding, changes, since = closed(), set(), 0, None
    for number, (event, incident_id) in enumerate(events):
        at, was_open = START + timedelta(seconds=number), bool(holding)
        if event == "hold":
            breaker = breaker.held(hold(incident_id), at=at)
            holding.add(incident_id)
        else:
            breaker = breaker.released(incident_id, at=at)
            holding.discard(incident_id)
        if was_open is not bool(holding):
            changes, since = changes + 1, at
        assert (breaker.status is BreakerStatus.OPEN) is bool(holding)
        assert (breaker.epoch, breaker.since) == (changes, since)


def test_the_last_release_closes():
    """Two incidents that need it open are two reasons; one going leaves the other."""
    breaker = closed().held(hold("a"), at=START).held(hold("b"), at=START)
    breaker = breaker.released("a", at=START)
    assert breaker.status is BreakerStatus.OPEN
    assert breaker.released("b", at=START).status is BreakerStatus.CLOSED

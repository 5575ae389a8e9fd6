"""Serving less on purpose."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.degradation import Degradation, DegradationLevel
from holdfast.domain.holds import Hold

START = datetime(2026, 3, 1, tzinfo=UTC)
LEVELS = tuple(
    DegradationLevel(name=name, features_off=features)
    for name, features in [
        ("mild", ["chat"]),
        ("hard", ["search", "previews"]),
        ("bare", ["login"]),
    ]
)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["hold", "release"]), st.sampled_from("abc"), st.integers(1, 5)),
    max_size=20,
)


def full():
    return Degradation(service="channels")


def hold(incident_id, level):
    return Hold(incident_id=incident_id, reason="why", since=START, level=level)


@given(EVENTS)
def test_a_service_is_at_the_deepest_level_that_is_held(events):
    """Never deeper than it has levels; ``since`` dates the last change of level."""
    service, holding, level, since = full(), {}, 0, None
    for number, (event, incident_id, wanted) in enumerate(events):
        at = START + timedelta(seconds=number)
        if event == "hold":
            service = service.held(hold(incident_id, wanted), levels=LEVELS, at=at)
            holding[incident_id] = wanted
        else:
            service = service.released(incident_id, at=at)
            holding.pop(incident_id, None)
        expected = min(max(holding.values(), default=0), len(LEVELS))
        if expected != level:
            level, since = expected, at
        assert (service.level, service.since) == (level, since)


@pytest.mark.parametrize(
    ("level", "off"),
    [
        (1, ("chat",)),
        (2, ("chat", "search", "previews")),
        (3, ("chat", "search", "previews", "login")),
    ],
)
def test_a_level_has_the_features_of_the_milder_ones_off_too(level, off):
    """Levels add up."""
    service = full().held(hold("a", level), levels=LEVELS, at=START)
    assert service.features_off == off
    assert service.released("a", at=START).features_off == ()


def test_a_service_without_levels_stays_whole():
    """There is nothing to switch off."""
    service = full().held(hold("a", 1), levels=(), at=START)
    assert (service.level, service.features_off, service.since) == (0, (), None)


def test_the_latest_hold_knows_the_levels():
    """The policy file may have changed between two incidents."""
    service = full().held(hold("a", 2), levels=LEVELS, at=START)
    service = service.held(hold("b", 1), levels=LEVELS[:1], at=START)
    assert service.features_off == ("chat",)


def test_a_level_that_switches_nothing_off_is_refused():
    """It would be degraded in name only."""
    with pytest.raises(ValidationError):
        DegradationLevel(name="x", features_off=[])

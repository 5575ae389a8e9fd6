"""Durations as people write them."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from holdfast.domain.model import LONGEST, Duration, parse_duration

DURATION = TypeAdapter(Duration)
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
        ("0s", timedelta(0)),
        ("PT1M30S", timedelta(seconds=90)),
        ("P1D", timedelta(days=1)),
    ],
)
def test_durations_read_as_people_write_them(text, expected):
    """Number and unit, units joined; ISO 8601 as messages carry it."""
    assert DURATION.validate_python(text) == expected


@given(
    st.lists(st.tuples(st.integers(0, 99), st.sampled_from(list(UNITS))), min_size=1, max_size=5)
)
def test_parts_add_up(parts):
    """A duration is the sum of its parts, whatever their order."""
    text = "".join(f"{number}{unit}" for number, unit in parts)
    expected = timedelta(milliseconds=sum(number * UNITS[unit] for number, unit in parts))
    assert parse_duration(text) == expected


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_durations_survive_a_message(duration):
    """What is sent as JSON comes back as the same duration."""
    assert DURATION.validate_json(DURATION.dump_json(duration)) == duration


@pytest.mark.parametrize("number", [30, 1.5, 0])
def test_a_bare_number_is_refused_with_its_remedy(number):
    """Its unit would be a guess, so it is asked for."""
    with pytest.raises(ValidationError, match=f"bare number has no unit, write {number}s"):
        DURATION.validate_python(number)


@pytest.mark.parametrize(
    "wrong", ["", "30", "s", "30 s", "5M", "1:30", "-5s", "-PT5S", "P", "1h 30m", None, [], "1e3s"]
)
def test_anything_else_is_refused(wrong):
    """What could be meant in two ways is not read in either."""
    with pytest.raises(ValidationError):
        DURATION.validate_python(wrong)


@pytest.mark.parametrize("endless", ["99999999999999w", "9" * 400 + "d", "3651d", "P9999D"])
def test_a_duration_of_more_than_ten_years_is_refused(endless):
    """A time plus a duration must stay within the calendar."""
    with pytest.raises(ValidationError):
        DURATION.validate_python(endless)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_is_refused(text):
    """No text makes the reading itself fail."""
    with contextlib.suppress(ValidationError):
        assert DURATION.validate_python(text) >= timedelta(0)

"""How often something happened, as rules ask it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from holdfast.domain.frequency import Frequency, Tally, Threshold
from tests.domain.nights import EVENING

FREQUENCY = TypeAdapter(Frequency)
SPAN = timedelta(minutes=10)
SIXTIETH = SPAN / 60


@pytest.mark.parametrize(
    "written", ["50 within 5m", " 50  within 5m ", {"count": 50, "within": "5m"}]
)
def test_a_frequency_is_written_as_people_say_it(written):
    """Or as a mapping."""
    assert FREQUENCY.validate_python(written) == Threshold(count=50, within="5m")


@pytest.mark.parametrize("wrong", ["50", "50 in 5m", "within 5m", "50 within 5", "0 within 5m"])
def test_what_is_no_frequency_is_refused(wrong):
    """A wrong rule would never fit, and nobody would know."""
    with pytest.raises(ValidationError):
        FREQUENCY.validate_python(wrong)


def test_a_refusal_shows_how_to_write_it():
    """Whoever reads it can mend the line."""
    with pytest.raises(ValidationError, match="such as '50 within 5m', got '50 in 5m'"):
        FREQUENCY.validate_python("50 in 5m")


HAPPENED = st.lists(st.tuples(st.integers(0, 120), st.integers(1, 50)), max_size=40)


@given(HAPPENED)
def test_a_tally_is_true_to_a_sixtieth_of_its_span(happened):
    """What is surely within the span is counted; what surely left it is not."""
    tally, at, told = Tally(span=SPAN), EVENING, []
    for seconds, count in happened:
        at += timedelta(seconds=seconds)
        told.append((at, count))
        tally = tally.counted(count, at=at)
        surely = sum(count for when, count in told if when > at - SPAN + SIXTIETH)
        perhaps = sum(count for when, count in told if when > at - SPAN)
        assert surely <= tally.total(now=at) <= perhaps


@given(HAPPENED)
def test_a_tally_is_small_however_much_it_counts(happened):
    """An incident carries it from run to run."""
    tally, at = Tally(span=SPAN), EVENING
    for seconds, count in happened * 5:
        at += timedelta(seconds=seconds)
        tally = tally.counted(count, at=at)
        assert len(tally.buckets) <= 61


def test_a_tally_forgets_by_itself():
    """It is asked later than anything was counted."""
    tally = Tally(span=SPAN).counted(7, at=EVENING)
    assert tally.total(now=EVENING + SPAN - SIXTIETH) == 7
    assert tally.total(now=EVENING + SPAN) == 0

"""Parts of the week, by the clock on somebody's wall."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.hours import Hours, Weekday, instant

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
OFFICE = Hours(
    days=(Weekday.MONDAY, Weekday.TUESDAY), starts=time(9), ends=time(17), time_zone="Europe/Berlin"
)
NIGHT = Hours(days=(Weekday.FRIDAY,), starts=time(22), ends=time(7), time_zone="UTC")

times = st.times().map(lambda each: each.replace(second=0, microsecond=0))
hours = st.builds(
    Hours,
    days=st.lists(st.sampled_from(Weekday), min_size=1, unique=True).map(tuple),
    starts=times,
    ends=times,
    time_zone=st.sampled_from(ZONES),
)
# A year with all changes of the clock in these zones.
moments = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001  # the zone is given beside it
    datetime(2027, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, *map(ZoneInfo, ZONES)]),
    allow_imaginary=False,
)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-02T07:59", False),
        ("2026-03-02T08:00", True),
        ("2026-03-02T15:59", True),
        ("2026-03-02T16:00", False),
        ("2026-03-04T10:00", False),
        ("2026-07-06T07:00", True),
    ],
)
def test_office_hours_are_by_the_wall(at, expected):
    """09:00 in Berlin is 08:00 UTC in winter and 07:00 in summer; the end is no part of them."""
    assert OFFICE.contain(utc(at)) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-06T21:59", False),
        ("2026-03-06T22:00", True),
        ("2026-03-07T06:59", True),
        ("2026-03-07T07:00", False),
        ("2026-03-07T22:00", False),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(at, expected):
    """Friday's night goes on into Saturday, and Saturday has none of its own."""
    assert NIGHT.contain(utc(at)) is expected


def test_without_days_and_times_they_are_always():
    """Midnight to midnight is the whole day, every day."""
    assert Hours().contain(utc("2026-03-01T23:59"))
    assert Hours().contain(utc("2026-03-02T00:00"))


def test_what_the_clock_skips_is_as_much_later():
    """02:30 on the last Sunday of March is on no clock in Berlin; RFC 5545 takes it for 03:30."""
    skipped = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001  # the wall's clock
    assert instant(skipped, ZoneInfo("Europe/Berlin")) == utc("2026-03-29T01:30")


def test_of_a_time_that_comes_twice_the_first_counts():
    """02:30 on the last Sunday of October comes at 00:30 and at 01:30 UTC."""
    twice = datetime(2026, 10, 25, 2, 30, fold=1)  # noqa: DTZ001  # the wall's clock
    assert instant(twice, ZoneInfo("Europe/Berlin")) == utc("2026-10-25T00:30")


@pytest.mark.parametrize("fold", [0, 1])
def test_the_hour_that_comes_twice_is_told_apart_in_any_time_zone(fold):
    """An end at 02:30 is over when 02:10 comes for the second time, whoever asks."""
    until = Hours(starts=time(0), ends=time(2, 30), time_zone="Europe/Berlin")
    at = datetime(2026, 10, 25, 2, 10, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    assert until.contain(at) is (fold == 0)


def test_a_span_that_the_clock_skips_is_left_out():
    """From 02:30 to 03:15 nothing is left of the night in which the clock goes from 02:00 to 03:00.

    The next of a weekly span is then almost two weeks away.
    """
    sunday = Hours(
        days=(Weekday.SUNDAY,), starts=time(2, 30), ends=time(3, 15), time_zone="Europe/Berlin"
    )
    assert sunday.next_start(utc("2026-03-23T12:00")) == utc("2026-04-05T00:30")


@given(hours, moments)
def test_the_next_start_begins_them(hours, at):
    """They contain it, and nothing between."""
    start = hours.next_start(at)
    assert start >= at
    assert hours.contain(start)
    if start > at:
        assert not hours.contain(at)
        assert not hours.contain(at + (start - at) / 2)
        assert not hours.contain(start - timedelta(microseconds=1))


@given(hours, moments)
def test_they_contain_what_their_spans_cover(hours, at):
    """Asked for a week, they give every span that reaches into it."""
    now = at.astimezone(UTC)
    spans = list(hours.spans(now - timedelta(days=4), now + timedelta(days=3)))
    assert any(begin <= now < end for begin, end in spans) is hours.contain(at)
    assert all(begin < end for begin, end in spans)


def test_their_own_time_zone_comes_first():
    """What belongs to a schedule is read by the schedule's clock, unless it says another."""
    assert Hours().by_default_in("Asia/Kathmandu").time_zone == "Asia/Kathmandu"
    assert OFFICE.by_default_in("Asia/Kathmandu").time_zone == "Europe/Berlin"


@pytest.mark.parametrize(
    "wrong", [{"starts": "09:00Z"}, {"ends": "17:00+02:00"}, {"time_zone": "Berlin"}, {"days": []}]
)
def test_what_would_be_misread_is_refused(wrong):
    """A time with an offset of its own would be read without it."""
    with pytest.raises(ValidationError):
        Hours.model_validate(wrong)

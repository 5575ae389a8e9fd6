"""When silences come again: by the wall's clock, summer and winter."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from activities.recurrence import check_recurrence, last_end, next_occurrence, occurrence_at
from holdfast.domain.silence import Silence
from holdfast.errors import InvalidInput

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def a_silence(starts="2026-03-01T02:00+01:00", length=2 * HOUR, **fields):
    starts_at = datetime.fromisoformat(starts)
    values = {
        "id": "s1",
        "starts_at": starts_at,
        "ends_at": starts_at + length,
        "time_zone": "Europe/Berlin",
        "created_by": "ada",
        "reason": "the disks are being replaced",
        "created_at": NOW,
    }
    return Silence(**values | fields)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts_of(silence, *, after, count):
    found = []
    while len(found) < count and (time := next_occurrence(silence, after)):
        found.append(time)
        after = time[0]
    return found


def test_a_single_time_holds_from_its_start_until_before_its_end():
    silence = a_silence()
    times = (silence.starts_at, silence.ends_at)
    assert occurrence_at(silence, silence.starts_at) == times
    assert occurrence_at(silence, silence.ends_at) is None
    assert occurrence_at(silence, silence.starts_at - timedelta(seconds=1)) is None
    assert next_occurrence(silence, silence.starts_at - HOUR) == times
    assert next_occurrence(silence, silence.starts_at) is None
    assert last_end(silence) == silence.ends_at


def test_a_weekly_time_comes_again_at_the_same_hour_of_the_clock():
    """02:00 in Berlin is 01:00 UTC in winter and 00:00 in summer."""
    silence = a_silence("2026-03-15T04:00+01:00", recurrence="FREQ=WEEKLY;BYDAY=SU")
    assert starts_of(silence, after=NOW, count=3) == [
        (utc("2026-03-15T03:00"), utc("2026-03-15T05:00")),
        (utc("2026-03-22T03:00"), utc("2026-03-22T05:00")),
        (utc("2026-03-29T02:00"), utc("2026-03-29T04:00")),
    ]
    assert last_end(silence) is None


def test_a_night_ends_by_the_clock_too():
    """The night in which the clock is put forward has seven hours, the one put back nine."""
    silence = a_silence("2026-03-01T22:00+01:00", 8 * HOUR, recurrence="FREQ=DAILY")
    spring = occurrence_at(silence, utc("2026-03-29T00:30"))
    assert spring == (utc("2026-03-28T21:00"), utc("2026-03-29T04:00"))
    autumn = occurrence_at(silence, utc("2026-10-25T00:30"))
    assert autumn == (utc("2026-10-24T20:00"), utc("2026-10-25T05:00"))


def test_a_time_that_the_clock_skips_is_as_long_as_ever():
    """02:30 to 02:45 is not on the clock of the 29th of March."""
    quarter = timedelta(minutes=15)
    silence = a_silence("2026-03-01T02:30+01:00", quarter, recurrence="FREQ=DAILY")
    [skipped] = starts_of(silence, after=utc("2026-03-28T12:00"), count=1)
    assert skipped == (utc("2026-03-29T01:30"), utc("2026-03-29T01:45"))
    ends_after = a_silence("2026-03-01T02:30+01:00", 3 * quarter, recurrence="FREQ=DAILY")
    [begins, ends] = starts_of(ends_after, after=utc("2026-03-28T12:00"), count=1)[0]
    assert ends - begins == 3 * quarter
    assert occurrence_at(ends_after, begins) == (begins, ends)


def test_count_and_until_end_it():
    counted = a_silence(recurrence="FREQ=DAILY;COUNT=3")
    assert last_end(counted) == utc("2026-03-03T03:00")
    assert occurrence_at(counted, utc("2026-03-03T02:00"))
    assert not occurrence_at(counted, utc("2026-03-04T02:00"))
    assert next_occurrence(counted, utc("2026-03-03T02:00")) is None
    for until in ("20260303", "20260303T020000", "20260303T010000Z"):
        assert last_end(a_silence(recurrence=f"FREQ=DAILY;UNTIL={until}")) == last_end(counted)
    for until in ("20260302", "20260303T015959", "20260303T005959Z"):
        silence = a_silence(recurrence=f"FREQ=DAILY;UNTIL={until}")
        assert last_end(silence) == utc("2026-03-02T03:00")


def test_an_end_far_away_is_none():
    assert last_end(a_silence(recurrence="FREQ=YEARLY;COUNT=20")) is None
    assert last_end(a_silence(recurrence="FREQ=YEARLY;UNTIL=20991231")) is None


def test_the_29th_of_february_is_found():
    leap = a_silence("2028-02-29T02:00+01:00", recurrence="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29")
    found = starts_of(leap, after=NOW, count=2)
    assert [start.year for start, _ in found] == [2028, 2032]


@pytest.mark.parametrize("rule", ["FREQ=DAILY", "FREQ=DAILY;COUNT=2", "FREQ=YEARLY"])
def test_a_day_that_never_comes_is_not_looked_for_until_the_end_of_time(rule):
    silence = a_silence(recurrence=f"{rule};BYMONTH=2;BYMONTHDAY=30")
    assert next_occurrence(silence, NOW) is None
    assert occurrence_at(silence, NOW) is None


def test_times_of_one_silence_that_overlap_hold_until_the_later_ends():
    silence = a_silence(length=36 * HOUR, recurrence="FREQ=DAILY")
    assert occurrence_at(silence, utc("2026-03-02T02:00"))[1] == utc("2026-03-03T13:00")


def test_one_that_somebody_ended_holds_nothing():
    ended = a_silence(recurrence="FREQ=DAILY", ended_at=NOW, ended_by="ada")
    assert occurrence_at(ended, utc("2026-03-02T02:00")) is None
    assert next_occurrence(ended, NOW) is None


RULES = st.sampled_from(
    [
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=3;BYHOUR=1,13",
        "FREQ=HOURLY;INTERVAL=5",
        "FREQ=HOURLY;BYDAY=SA,SU",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=MO",
        "FREQ=WEEKLY;BYDAY=MO,TU,WE;BYSETPOS=-1",
        "FREQ=MONTHLY;BYDAY=-1SU",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        "FREQ=DAILY;COUNT=40",
        "FREQ=WEEKLY;UNTIL=20270101",
    ]
)


@given(RULES, st.integers(0, 3 * 366 * 24))
def test_winding_on_leaves_out_no_time(rule, hours):
    """The times after any moment are those that counting from the first finds."""
    silence = a_silence("2026-03-01T02:00+00:00", HOUR, recurrence=rule, time_zone="UTC")
    after = silence.starts_at + hours * HOUR
    naive = rrulestr(rule, dtstart=silence.starts_at.replace(tzinfo=None))
    expected = naive.after(after.replace(tzinfo=None))
    found = next_occurrence(silence, after)
    assert (found and found[0].replace(tzinfo=None)) == expected


@given(st.integers(0, 366 * 24 * 4), st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_a_moment_is_held_exactly_while_the_clock_says_so(quarters, zone):
    """An hour each day from noon, whatever the clock did in the night."""
    silence = a_silence(
        "2026-01-01T12:00+00:00", HOUR, recurrence="FREQ=DAILY;BYHOUR=12", time_zone=zone
    )
    at = silence.starts_at + DAY + quarters * timedelta(minutes=15)
    assert bool(occurrence_at(silence, at)) is (at.astimezone(ZoneInfo(zone)).hour == 12)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;BYDAY=SU",
        "RRULE:FREQ=MONTHLY;BYDAY=2TU,-1SU;BYHOUR=2,14;BYMINUTE=30",
        "freq=daily;interval=2;wkst=mo",
        "FREQ=YEARLY;BYMONTHDAY=-1;BYMONTH=12;BYSETPOS=-1",
        "FREQ=DAILY;UNTIL=20261231T220000Z",
        "FREQ=DAILY;COUNT=1000",
    ],
)
def test_what_can_be_followed_passes(rule):
    check_recurrence(rule)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("", "'' is no part of a rule"),
        ("every sunday", "'EVERY SUNDAY' is no part of a rule"),
        ("BYDAY=SU", "a rule needs FREQ"),
        ("FREQ=SECONDLY", "FREQ=SECONDLY cannot be followed; it takes HOURLY, DAILY"),
        ("FREQ=MINUTELY", "FREQ=MINUTELY cannot be followed"),
        ("FREQ=DAILY;BYMINUTE=0,30", "BYMINUTE=0,30 cannot be followed; it takes a number from 0"),
        ("FREQ=DAILY;BYSECOND=1", "'BYSECOND' is no part that a silence may have"),
        ("FREQ=DAILY;DTSTART=20260101", "'DTSTART' is no part that a silence may have"),
        ("FREQ=DAILY;FREQ=WEEKLY", "FREQ stands there twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 cannot be followed; it takes a number from 1 to 100"),
        ("FREQ=DAILY;COUNT=1001", "COUNT=1001 cannot be followed"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20261231", "COUNT or UNTIL, not both"),
        ("FREQ=DAILY;UNTIL=20261301", "UNTIL=20261301 is no time that there is"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL=TOMORROW cannot be followed; it takes a time"),
        ("FREQ=WEEKLY;BYDAY=SUN", "BYDAY=SUN cannot be followed; it takes days such as MO,TU"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "takes numbers from 1 to 31, or minus that"),
        ("FREQ=YEARLY;BYMONTH=-1", "takes numbers from 1 to 12"),
        ("FREQ=YEARLY;BYEASTER=0", "'BYEASTER' is no part that a silence may have"),
        ("FREQ=DAILY\nFREQ=WEEKLY", "cannot be followed"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_part_that_is_wrong(rule, problem):
    with pytest.raises(InvalidInput) as caught:
        check_recurrence(rule)
    assert problem in str(caught.value)
    assert caught.value.field == "recurrence"

"""Who is on call at every moment, by the clock on the schedule's wall."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.hours import Hours, Weekday
from holdfast.domain.rota import HORIZON, CalendarEvent, next_shift, shift_at, shifts
from holdfast.domain.schedule import Override, Rotation, Schedule

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
PEOPLE = ("ada", "grace", "edsger")
WEEK = timedelta(weeks=1)
MONDAY = date(2026, 1, 5)

people = st.sampled_from(PEOPLE)
times = st.times().map(lambda each: each.replace(second=0, microsecond=0))
moments = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001  # the zone is given beside it
    datetime(2027, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, *map(ZoneInfo, ZONES)]),
    allow_imaginary=False,
)
rotations = st.builds(
    Rotation,
    people=st.lists(people, min_size=1, max_size=4).map(tuple),
    every=st.sampled_from([7, 12, 24, 36, 168]).map(lambda hours: timedelta(hours=hours)),
    starts_on=st.dates(date(2025, 10, 1), date(2026, 12, 31)),
    handover=times,
    hours=st.none()
    | st.builds(
        Hours,
        days=st.lists(st.sampled_from(Weekday), min_size=1, unique=True).map(tuple),
        starts=times,
        ends=times,
        time_zone=st.none() | st.sampled_from(ZONES),
    ),
)


@st.composite
def spans(draw, model, **fields):
    starts_at = draw(moments).astimezone(UTC)
    length = timedelta(minutes=draw(st.integers(1, 20_000)))
    given = {name: draw(each) for name, each in fields.items()}
    return model(starts_at=starts_at, ends_at=starts_at + length, **given)


overrides = st.lists(spans(Override, person=people), max_size=4).map(tuple)
schedules = st.builds(
    Schedule,
    time_zone=st.sampled_from(ZONES),
    layers=st.lists(rotations, min_size=1, max_size=3).map(tuple),
    overrides=overrides,
)
events = st.lists(spans(CalendarEvent, person=people | st.none()), max_size=8).map(tuple)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rotation(*people, **fields):
    return Rotation(people=people or PEOPLE, **{"starts_on": MONDAY} | fields)


def schedule(*layers, time_zone="UTC", overrides=()):
    return Schedule(time_zone=time_zone, layers=layers or (rotation(),), overrides=overrides)


def from_calendar(*, overrides=()):
    return Schedule(calendar="file:/on-call.ics", overrides=overrides)


def event(person, starts_at, ends_at, summary=""):
    return CalendarEvent(
        person=person, starts_at=utc(starts_at), ends_at=utc(ends_at), summary=summary
    )


def expected(schedule, at):
    """Who is on call, found the long way: the latest turn that began, layer by layer."""
    on_call, zone = None, ZoneInfo(schedule.time_zone)
    for layer in schedule.layers:
        hours = layer.hours.by_default_in(schedule.time_zone) if layer.hours else Hours()
        first = datetime.combine(layer.starts_on, layer.handover)
        about = (at.replace(tzinfo=None) - first) // layer.every
        begun = [
            number
            for number in range(max(0, about - 30), about + 30)
            if (first + number * layer.every).replace(tzinfo=zone).astimezone(UTC) <= at
        ]
        if begun and hours.contain(at):
            on_call = layer.people[begun[-1] % len(layer.people)]
    for override in schedule.overrides:
        if override.starts_at <= at < override.ends_at:
            on_call = override.person
    return on_call


@given(schedules, moments)
def test_every_moment_has_the_person_that_the_rules_name(schedule, at):
    """The last override, else the last layer that has somebody within its hours."""
    assert shift_at(schedule, at).person == expected(schedule, at.astimezone(UTC))


@given(schedules, moments, st.integers(0, 30))
def test_shifts_fill_time_without_overlap_or_hole(schedule, since, days):
    """Each begins where the one before ended, with another person; all of the time is covered."""
    until = since.astimezone(UTC) + timedelta(days=days, minutes=1)
    found = shifts(schedule, since, until)
    assert found[0].starts_at is None or found[0].starts_at <= since
    assert found[-1].ends_at is None or found[-1].ends_at >= until
    for before, after in pairwise(found):
        assert before.ends_at == after.starts_at
        assert before.person != after.person


@given(schedules, moments)
def test_every_moment_has_exactly_one_shift_and_lies_in_it(schedule, at):
    """Whoever asks at another moment of a shift is told the same person and the same edges."""
    shift = shift_at(schedule, at)
    now = at.astimezone(UTC)
    starts_at, ends_at = shift.starts_at or now - HORIZON, shift.ends_at or now + HORIZON
    assert starts_at <= now < ends_at
    for moment in (starts_at, now, ends_at - timedelta(microseconds=1)):
        same = shift_at(schedule, moment)
        assert same.person == shift.person
        assert None in {same.starts_at, shift.starts_at} or same.starts_at == shift.starts_at
        assert None in {same.ends_at, shift.ends_at} or same.ends_at == shift.ends_at


@given(schedules, moments)
def test_the_next_shift_starts_where_this_one_ends(schedule, at):
    """And it is another person's, or a gap."""
    shift, following = shift_at(schedule, at), next_shift(schedule, at)
    if shift.ends_at is None:
        assert following is None
    else:
        assert following.starts_at == shift.ends_at
        assert following.person != shift.person
        assert shift_at(schedule, shift.ends_at).person == following.person


@given(rotations.map(lambda each: each.model_copy(update={"hours": None})), moments, people)
def test_an_override_wins_exactly_in_its_time(layer, starts_at, person):
    """From its first moment to the last before its end, and nothing else changes."""
    starts_at = starts_at.astimezone(UTC)
    override = Override(person=person, starts_at=starts_at, ends_at=starts_at + WEEK)
    plain, overridden = schedule(layer), schedule(layer, overrides=(override,))
    instant = timedelta(microseconds=1)
    for inside in (starts_at, starts_at + WEEK / 2, starts_at + WEEK - instant):
        assert shift_at(overridden, inside).person == person
    for outside in (starts_at - instant, starts_at + WEEK):
        assert shift_at(overridden, outside).person == shift_at(plain, outside).person


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("days", [1, 7])
def test_the_handover_is_at_the_same_time_of_the_day_all_year(zone, days):
    """A day of 23, 23.5, 24.5 or 25 hours is one day."""
    daily = schedule(rotation(every=timedelta(days=days), handover=time(9)), time_zone=zone)
    year = shifts(daily, utc("2026-02-01T00:00"), utc("2027-02-01T00:00"))
    local = [each.starts_at.astimezone(ZoneInfo(zone)) for each in year]
    assert {each.time() for each in local} == {time(9)}
    assert {(b.date() - a.date()).days for a, b in pairwise(local)} == {days}


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True), st.sampled_from(ZONES))
def test_people_take_turns_in_their_order(numbers, zone):
    """The first person has the first turn, and after the last comes the first again."""
    names = tuple(f"person-{number}" for number in numbers)
    found = shifts(
        schedule(rotation(*names), time_zone=zone),
        utc("2026-01-06T00:00"),
        utc("2026-01-06T00:00") + (2 * len(names) - 1) * WEEK,
    )
    turns = [each.person for each in found]
    assert turns == list(names * 2 if len(names) > 1 else names)


def test_twelve_hours_are_from_nine_to_nine_all_year():
    """Turns of hours go by the wall's clock too: days stay days, nights stay nights."""
    half_days = schedule(
        rotation("day", "night", every=timedelta(hours=12)), time_zone="Europe/Berlin"
    )
    year = shifts(half_days, utc("2026-02-01T00:00"), utc("2026-12-01T00:00"))
    berlin = ZoneInfo("Europe/Berlin")
    begins = {(each.person, each.starts_at.astimezone(berlin).time()) for each in year}
    assert begins == {("day", time(9)), ("night", time(21))}
    lengths = {(each.ends_at - each.starts_at) / timedelta(hours=1) for each in year}
    assert lengths == {11, 12, 13}


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (8, ["09:00", "17:00", "01:00", "09:00"]),
        (36, ["09:00", "21:00", "09:00", "21:00"]),
        (5, ["09:00", "14:00", "19:00", "00:00"]),
    ],
)
def test_turns_of_hours_begin_at_the_first_handover_and_go_on_from_there(hours, expected):
    found = shifts(
        schedule(rotation(every=timedelta(hours=hours))),
        utc("2026-01-05T09:00"),
        utc("2026-01-05T09:00") + timedelta(hours=4 * hours),
    )
    assert [f"{each.starts_at:%H:%M}" for each in found] == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 3, 28), "2026-03-29T01:30"),
        (date(2026, 10, 24), "2026-10-25T00:30"),
    ],
)
def test_a_handover_that_is_skipped_or_comes_twice_happens_once(day, expected):
    """At 03:30 in the night that has no 02:30; at the first 02:30 in the night that has two."""
    daily = schedule(
        rotation("ada", "grace", every=timedelta(days=1), starts_on=day, handover=time(2, 30)),
        time_zone="Europe/Berlin",
    )
    begin = datetime.combine(day, time(12), UTC)
    assert shift_at(daily, begin).ends_at == utc(expected)
    assert [each.person for each in shifts(daily, begin, begin + timedelta(days=1))] == [
        "ada",
        "grace",
    ]


def test_where_clocks_skip_more_than_a_turn_the_last_of_the_skipped_begins():
    """In Troll they go from 01:00 to 03:00, and the turn of 03:00 begins in time."""
    names = ("zero", "one", "two", "three", "four", "five")
    hourly = rotation(
        *names, every=timedelta(hours=1), handover=time(0), starts_on=date(2026, 3, 29)
    )
    begin = utc("2026-03-29T00:00")
    found = shifts(
        schedule(hourly, time_zone="Antarctica/Troll"), begin, begin + timedelta(hours=3)
    )
    assert [(each.person, each.starts_at) for each in found] == [
        ("zero", begin),
        ("three", begin + timedelta(hours=1)),
        ("four", begin + timedelta(hours=2)),
    ]


def test_before_the_first_turn_there_is_nobody():
    """Whoever is paged then is told when somebody comes."""
    shift = shift_at(schedule(), utc("2026-01-04T00:00"))
    assert (shift.person, shift.starts_at) == (None, None)
    assert shift.ends_at == utc("2026-01-05T09:00")


def test_neighbours_of_the_same_person_are_one_shift():
    """Nothing changes where ada follows ada, from whatever source."""
    override = Override(
        person="ada", starts_at=utc("2026-01-12T09:00"), ends_at=utc("2026-01-13T09:00")
    )
    shift = shift_at(schedule(overrides=(override,)), utc("2026-01-12T12:00"))
    assert (shift.starts_at, shift.ends_at) == (utc("2026-01-05T09:00"), utc("2026-01-13T09:00"))
    assert shift.source == "override"


def test_nobody_looks_further_than_the_horizon():
    """One person alone is on call since ever and for ever."""
    shift = shift_at(schedule(rotation("ada")), utc("2026-06-01T00:00"))
    assert (shift.person, shift.starts_at, shift.ends_at) == ("ada", None, None)
    assert next_shift(schedule(rotation("ada")), utc("2026-06-01T00:00")) is None


def test_a_layer_has_somebody_only_within_its_hours():
    """By the schedule's clock; the layer below has the rest."""
    office = Hours(days=(Weekday.MONDAY,), starts=time(9), ends=time(17))
    layered = schedule(
        rotation("grace"), rotation("ada", hours=office), time_zone="America/New_York"
    )
    [night, day, *_] = shifts(layered, utc("2026-06-01T00:00"), utc("2026-06-02T00:00"))
    assert (night.person, night.source) == ("grace", "layer 1")
    assert (day.person, day.source) == ("ada", "layer 2")
    assert (day.starts_at, day.ends_at) == (utc("2026-06-01T13:00"), utc("2026-06-01T21:00"))


def test_of_several_overrides_the_last_decides():
    """As they stand in the policy file."""
    starts_at, ends_at = utc("2026-02-01T00:00"), utc("2026-02-02T00:00")
    both = [Override(person=each, starts_at=starts_at, ends_at=ends_at) for each in PEOPLE[1:]]
    assert shift_at(schedule(overrides=tuple(both)), starts_at).person == "edsger"
    assert shift_at(schedule(overrides=tuple(both[::-1])), starts_at).person == "grace"


def test_a_calendar_has_somebody_for_as_long_as_its_events_last():
    """Between them is a gap, and an override goes before them."""
    override = Override(
        person="edsger", starts_at=utc("2026-03-01T10:00"), ends_at=utc("2026-03-01T11:00")
    )
    found = shifts(
        from_calendar(overrides=(override,)),
        utc("2026-03-01T00:00"),
        utc("2026-03-02T00:00"),
        events=[
            event("ada", "2026-03-01T08:00", "2026-03-01T12:00"),
            event("grace", "2026-03-01T13:00", "2026-03-01T18:00"),
        ],
    )
    assert [(each.person, each.source) for each in found] == [
        (None, ""),
        ("ada", "calendar"),
        ("edsger", "override"),
        ("ada", "calendar"),
        (None, ""),
        ("grace", "calendar"),
        (None, ""),
    ]


def test_an_event_of_nobody_known_is_a_gap_that_says_so():
    """Somebody misspelled a name: that is worth knowing for whoever asks why nobody is paged."""
    alan = event(None, "2026-03-01T08:00", "2026-03-01T12:00", "Alan")
    shift = shift_at(from_calendar(), utc("2026-03-01T09:00"), events=[alan])
    assert shift.person is None
    assert shift.source == "calendar: 'Alan' is nobody in people"


@pytest.mark.parametrize("turned", [False, True])
def test_of_events_at_one_time_the_most_particular_decides(turned):
    """Known people before others, then who began last; a feed's order says nothing."""
    overlapping = [
        event("ada", "2026-03-01T00:00", "2026-03-08T00:00"),
        event("grace", "2026-03-03T00:00", "2026-03-04T00:00"),
        event("edsger", "2026-03-03T00:00", "2026-03-05T00:00"),
        event(None, "2026-03-03T12:00", "2026-03-03T13:00", "Lunch"),
    ]
    if turned:
        overlapping.reverse()
    shift = shift_at(from_calendar(), utc("2026-03-03T12:30"), events=overlapping)
    assert shift.person == "grace"


@given(events, overrides, moments)
def test_a_calendars_moment_has_one_of_those_who_are_in_it(events, overrides, at):
    """The last override, else somebody whose event it is; nobody only where nobody has one."""
    shift = shift_at(from_calendar(overrides=overrides), at, events=events)
    now = at.astimezone(UTC)
    held = [each.person for each in overrides if each.starts_at <= now < each.ends_at]
    known = {e.person for e in events if e.person and e.starts_at <= now < e.ends_at}
    assert shift.person in ({held[-1]} if held else known or {None})

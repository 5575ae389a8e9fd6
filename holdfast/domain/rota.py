"""Owns the rota: who is on call when, out of a schedule's layers, its calendar and its overrides.

Whoever stands last decides: a later layer over an earlier one, an override over all. What is said
of a moment is a fact of the whole shift around it: where the same person goes on, be it from
another layer, no shift ends.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count, groupby, pairwise
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime

from holdfast.domain.hours import instant
from holdfast.domain.model import Model, Name
from holdfast.domain.schedule import Rotation, Schedule, Shift

# Twice the month that the slowest rotations take turns by, with a few days to spare.
HORIZON = timedelta(days=60)
# The most that clocks ever skipped at once: Samoa had no 30 December 2011.
_LEAP = timedelta(days=1)


class CalendarEvent(Model):
    """Somebody's time on call, as a calendar has it.

    Attributes:
        person: None where the calendar names nobody whom the policy file knows.
        summary: The event's title.
    """

    person: Name | None
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    summary: str = ""


class _Span(NamedTuple):
    """A time that one source has somebody for; of an unknown event, nobody."""

    starts_at: datetime
    ends_at: datetime
    person: str | None
    source: str


def shift_at(schedule: Schedule, at: datetime, *, events: Sequence[CalendarEvent] = ()) -> Shift:
    """The shift that a moment belongs to, with nobody in it for a gap.

    Args:
        schedule: The schedule.
        at: The moment.
        events: Its calendar's, from ``HORIZON`` before the moment until ``HORIZON`` after it.
    """
    timeline = _timeline(schedule, at, at, events)
    return next(each for each in timeline if each.ends_at is None or each.ends_at > at)


def next_shift(
    schedule: Schedule, after: datetime, *, events: Sequence[CalendarEvent] = ()
) -> Shift | None:
    """The shift that follows the one which a moment belongs to; as it, it may be a gap.

    Returns:
        None if nothing changes for as long as anybody looks ahead.
    """
    timeline = _timeline(schedule, after, after, events)
    return next((each for each in timeline if each.starts_at and each.starts_at > after), None)


def shifts(
    schedule: Schedule, since: datetime, until: datetime, *, events: Sequence[CalendarEvent] = ()
) -> tuple[Shift, ...]:
    """The shifts and gaps that fill a time, one after the other, each with its real edges.

    Args:
        schedule: The schedule.
        since: The first moment.
        until: The first moment after it.
        events: Its calendar's, from ``HORIZON`` before that time until ``HORIZON`` after it.
    """
    return tuple(
        shift
        for shift in _timeline(schedule, since, until, events)
        if (shift.ends_at is None or shift.ends_at > since)
        and (shift.starts_at is None or shift.starts_at < until)
    )


def _timeline(
    schedule: Schedule, since: datetime, until: datetime, events: Sequence[CalendarEvent]
) -> Iterator[Shift]:
    """All shifts of a time and of ``HORIZON`` around it."""
    first, last = since.astimezone(UTC) - HORIZON, until.astimezone(UTC) + HORIZON
    spans = list(_spans(schedule, first, last, events))
    for person, tiles in groupby(_tiles(spans, first, last), key=attrgetter("person")):
        run = list(tiles)
        starts_at, ends_at = run[0].starts_at, run[-1].ends_at
        sources = (tile.source for tile in run if tile.source and tile.ends_at > since)
        yield Shift(
            person=person,
            starts_at=None if starts_at == first else starts_at,
            ends_at=None if ends_at == last else ends_at,
            source=next(sources, ""),
        )


def _tiles(spans: Sequence[_Span], first: datetime, last: datetime) -> Iterator[_Span]:
    """A time without a hole: cut wherever a span begins or ends, each piece the last span's."""
    within = (edge for span in spans for edge in span[:2] if first < edge < last)
    edges = sorted({first, last, *within})
    ranked = sorted(enumerate(spans), key=lambda each: each[1].starts_at, reverse=True)
    open_spans: list[tuple[int, _Span]] = []
    for begin, end in pairwise(edges):
        while ranked and ranked[-1][1].starts_at <= begin:
            rank, span = ranked.pop()
            heappush(open_spans, (-rank, span))
        while open_spans and open_spans[0][1].ends_at <= begin:
            heappop(open_spans)
        top = open_spans[0][1] if open_spans else None
        yield _Span(begin, end, top.person if top else None, top.source if top else "")


def _spans(
    schedule: Schedule, first: datetime, last: datetime, events: Sequence[CalendarEvent]
) -> Iterator[_Span]:
    """All that anybody says about a time; what comes later here decides."""
    for number, layer in enumerate(schedule.layers, start=1):
        for begin, end, person in _duties(layer, schedule.time_zone, first, last):
            yield _Span(begin, end, person, f"layer {number}")
    for event in sorted(events, key=_precedence):
        source = "calendar" if event.person else f"calendar: {event.summary!r} is nobody in people"
        yield _Span(*_in_utc(event.starts_at, event.ends_at), event.person, source)
    for override in schedule.overrides:
        yield _Span(*_in_utc(override.starts_at, override.ends_at), override.person, "override")


def _precedence(event: CalendarEvent) -> tuple[bool, datetime, timedelta, str]:
    """Of events at one time: a known person's, then the one begun last, then the shortest."""
    shortness = event.starts_at - event.ends_at
    return event.person is not None, event.starts_at, shortness, event.person or ""


def _in_utc(starts_at: datetime, ends_at: datetime) -> tuple[datetime, datetime]:
    return starts_at.astimezone(UTC), ends_at.astimezone(UTC)


def _duties(
    layer: Rotation, time_zone: str, first: datetime, last: datetime
) -> Iterator[tuple[datetime, datetime, str]]:
    """A layer's turns, without what lies outside of its hours."""
    hours = layer.hours and layer.hours.by_default_in(time_zone)
    for begin, end, person in _turns(layer, ZoneInfo(time_zone), first, last):
        if hours is None:
            yield begin, end, person
            continue
        for starts, ends in hours.spans(begin, end):
            yield max(begin, starts), min(end, ends), person


def _turns(
    layer: Rotation, zone: ZoneInfo, first: datetime, last: datetime
) -> Iterator[tuple[datetime, datetime, str]]:
    """A layer's turns at a time, counted by the wall's clock from its first one.

    Where clocks skip more than a turn, several would begin at once: the last of them does.
    """
    begin = datetime.combine(layer.starts_on, layer.handover)
    wall_first, wall_last = (
        edge.astimezone(zone).replace(tzinfo=None) for edge in (first - _LEAP, last + _LEAP)
    )
    for number in count(max(0, (wall_first - begin) // layer.every)):
        starts = begin + number * layer.every
        if starts > wall_last:
            return
        person = layer.people[number % len(layer.people)]
        yield instant(starts, zone), instant(starts + layer.every, zone), person

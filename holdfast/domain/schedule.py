"""Owns the on-call schedule as the policy file describes it; ``rota.py`` tells who is on call."""

from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from holdfast.domain.action import SECRET_IN_TEXT
from holdfast.domain.hours import Hours, TimeZone, WallTime
from holdfast.domain.model import Duration, Model, Name

_HOUR = timedelta(hours=1)

CalendarReference = Annotated[
    str,
    Field(
        pattern=r"^(https?://[^@\s]+|file:.+|\$\{[A-Z_][A-Z0-9_]*\})$",
        description="an http:// or https:// URL, file:/path, or ${NAME} for a URL that is secret",
    ),
]


class Rotation(Model):
    """People who take turns, counted by the clock on the wall in the schedule's time zone.

    A turn of whole days begins at the handover, be a day of 23 or 25 hours. So does one of hours:
    turns of 12 hours from 09:00 begin at 09:00 and 21:00 all year, and the night in which the
    clock is changed is an hour shorter or longer. Turns of 36 hours begin at 09:00, then at 21:00
    of the next day; those of 5 hours wander over the day. Before the first turn nobody is on call.

    Attributes:
        people: In their order.
        every: The length of a turn: whole hours or days.
        starts_on: The day of the first person's first turn.
        handover: The time of the day at which turns begin.
        hours: Only then is anybody on call here, in the schedule's time zone unless they have
            their own; None for always.
    """

    people: tuple[Name, ...] = Field(min_length=1)
    every: Duration = timedelta(weeks=1)
    starts_on: date
    handover: WallTime = time(9)
    hours: Hours | None = None

    @model_validator(mode="after")
    def _turns_are_whole(self) -> Self:
        if self.every < _HOUR or self.every % _HOUR:
            raise ValueError("every: expected whole hours or days, such as 12h, 1d or 1w")
        return self


class Override(Model):
    """Somebody who is on call in everybody else's place for a while."""

    person: Name
    starts_at: AwareDatetime
    ends_at: AwareDatetime

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at: expected a time after starts_at")
        return self


class Schedule(Model):
    """Who is on call when.

    Attributes:
        time_zone: Of handovers, and of calendar events that name none.
        layers: Rotations; where several have somebody, the last of them decides.
        calendar: An iCalendar feed or file in the place of layers; an event's summary or attendee
            names who is on call.
        overrides: Before all else; of several, the last decides.
    """

    description: str = ""
    time_zone: TimeZone = "UTC"
    layers: tuple[Rotation, ...] = ()
    calendar: CalendarReference | None = None
    overrides: tuple[Override, ...] = ()

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.layers) == bool(self.calendar):
            raise ValueError("expected layers or a calendar, one of the two")
        return self

    @property
    def is_secret(self) -> bool:
        """Whether the calendar's address is known by reference only."""
        return bool(self.calendar and SECRET_IN_TEXT.fullmatch(self.calendar))

    def people(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Everybody whom it names, each with the way there."""
        for place, layer in enumerate(self.layers):
            for number, person in enumerate(layer.people):
                yield ("layers", place, "people", number), person
        for place, override in enumerate(self.overrides):
            yield ("overrides", place, "person"), override.person


class Shift(Model):
    """Somebody's time on call.

    Attributes:
        person: Their key in the policy file; None for a gap: nobody is on call.
        starts_at: None if it has been so for longer than anybody looks back.
        ends_at: When somebody else is, or nobody; None if it goes on for longer than anybody
            looks ahead.
        source: Where that stands: ``layer 1``, ``override``, ``calendar``; for a gap, the event
            of the calendar that names nobody known, if there is one.
    """

    person: Name | None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    source: str = ""

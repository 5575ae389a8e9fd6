"""Owns hours: a part of the week in somebody's time zone, such as office hours or the night."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from holdfast.domain.model import Model

_DAY = timedelta(days=1)
# Two weeks and a day: a clock that is put forward may skip a whole span, and with it a week's.
_HORIZON = timedelta(days=15)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"no time zone {name!r}; write one such as Europe/Berlin") from error
    return name


def _of_the_wall(clock: time) -> time:
    if clock.tzinfo:
        raise ValueError("expected a time of the day such as 09:00; the time zone stands apart")
    return clock


TimeZone = Annotated[str, Field(max_length=100), AfterValidator(_known_zone)]
WallTime = Annotated[time, AfterValidator(_of_the_wall)]


class Weekday(StrEnum):
    """A day of the week."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"

    @property
    def number(self) -> int:
        """0 for Monday, as ``datetime.weekday`` has it."""
        return list(Weekday).index(self)


EVERY_DAY = tuple(Weekday)


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which a zone's clocks show a time, in UTC.

    As RFC 5545 has it (3.3.5): of a time that comes twice the first, and a time that the clocks
    skip is as much later as they skip.

    Args:
        wall: Without a time zone.
        zone: Whose clocks.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


class Hours(Model):
    """From a time of the day to another, on some days of the week, by the wall's clock.

    An end that is not after the beginning is on the next day: 22:00 to 07:00 is a night, and it
    belongs to the day on which it begins.

    Attributes:
        starts: The first moment, in the time zone.
        ends: The first moment that no longer belongs to it.
        time_zone: None for the schedule's, where they belong to one, and else for UTC.
    """

    days: tuple[Weekday, ...] = Field(EVERY_DAY, min_length=1)
    starts: WallTime = time(0)
    ends: WallTime = time(0)
    time_zone: TimeZone | None = None

    def by_default_in(self, time_zone: str) -> Self:
        """Themselves, in a time zone unless they have their own."""
        return self if self.time_zone else self.model_copy(update={"time_zone": time_zone})

    def contain(self, at: datetime) -> bool:
        """Whether a moment lies within them."""
        return any(True for _ in self.spans(at, at))

    def next_start(self, at: datetime) -> datetime:
        """The moment from which on they contain what comes: ``at`` itself, if they do now."""
        return max(at, next(self.spans(at, at + _HORIZON))[0])

    def spans(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """When they begin and end, in UTC: all that touch a time, its last moment included."""
        zone = ZoneInfo(self.time_zone or "UTC")
        # In UTC, for times that one zone compares are compared by the wall's clock.
        first, last = since.astimezone(UTC), until.astimezone(UTC)
        numbers = {day.number for day in self.days}
        day = first.astimezone(zone).date() - _DAY
        while day <= last.astimezone(zone).date():
            following = day if self.ends > self.starts else day + _DAY
            begin = instant(datetime.combine(day, self.starts), zone)
            end = instant(datetime.combine(following, self.ends), zone)
            # Clocks that skip its beginning may leave nothing of it.
            if day.weekday() in numbers and begin <= last and end > max(begin, first):
                yield begin, end
            day += _DAY

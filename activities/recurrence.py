"""Owns the times of silences: each begins and ends when the wall's clock shows what it did first.

A rule is RFC 5545's. Its times are found by dateutil, without a time zone, and then placed on the
clock of the silence's own; so a night from 22:00 to 06:00 is one on every day of the year.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NoReturn, cast
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from holdfast.domain.silence import Silence
from holdfast.errors import InvalidInput

Occurrence = tuple[datetime, datetime]
"""The first moment of one of a silence's times, and the first after it."""

_LONG: Final = timedelta(days=3650)
# The 29th of February comes again after eight years, over a century's end that has none.
_HORIZON: Final = timedelta(days=3700)
# More than any clock is ever put forward or back.
_SLACK: Final = timedelta(days=1)
_STEPS: Final[Mapping[str, timedelta]] = {
    "HOURLY": timedelta(hours=1),
    "DAILY": timedelta(days=1),
    "WEEKLY": timedelta(weeks=1),
}

_DAY: Final = "(MO|TU|WE|TH|FR|SA|SU)"
# What numbers a part may have; some count from the end as well, with a minus.
_NUMBERS: Final[Mapping[str, range]] = {
    "INTERVAL": range(1, 101),
    "COUNT": range(1, 1001),
    "BYMONTH": range(1, 13),
    "BYMONTHDAY": range(1, 32),
    "BYYEARDAY": range(1, 367),
    "BYWEEKNO": range(1, 54),
    "BYHOUR": range(24),
    "BYMINUTE": range(60),
    "BYSETPOS": range(1, 367),
}
# With one minute at the most, nothing comes more often than hourly.
_SINGLE: Final = frozenset({"INTERVAL", "COUNT", "BYMINUTE"})
_FROM_THE_END: Final = frozenset({"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"})
# What the other parts look like, and how that is told.
_PATTERNS: Final[Mapping[str, tuple[str, str]]] = {
    "FREQ": ("HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY", "HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY"),
    "BYDAY": (rf"([+-]?[1-9]\d?)?{_DAY}(,([+-]?[1-9]\d?)?{_DAY})*", "days such as MO,TU or -1SU"),
    "WKST": (_DAY, "a day such as MO"),
    "UNTIL": (r"\d{8}(T\d{6}Z?)?", "a time such as 20261231 or 20261231T220000Z"),
}


def check_recurrence(text: str) -> None:
    """Make sure that a rule can be followed.

    Raises:
        InvalidInput: If not; the message says which part is wrong, and what it may be.
    """
    parts = _parts(text)
    for name, value in parts.items():
        if name in _NUMBERS:
            _check_numbers(name, value)
        elif name not in _PATTERNS:
            known = ", ".join(sorted({*_NUMBERS, *_PATTERNS}))
            _refuse(f"'{name}' is no part that a silence may have; its parts: {known}")
        elif not re.fullmatch(_PATTERNS[name][0], value):
            _refuse(f"{name}={value} cannot be followed; it takes {_PATTERNS[name][1]}")
    if "FREQ" not in parts:
        _refuse("a rule needs FREQ, such as FREQ=WEEKLY;BYDAY=SU")
    if "COUNT" in parts and "UNTIL" in parts:
        _refuse("a rule has COUNT or UNTIL, not both")
    if "UNTIL" in parts:
        _until(parts["UNTIL"], ZoneInfo("UTC"))


def occurrence_at(silence: Silence, at: datetime) -> Occurrence | None:
    """The time of a silence that holds a moment, of several the one that ends last."""
    if silence.is_over(at):
        return None
    # Where the clock is put forward, the order of its times is not quite that of moments.
    near = itertools.takewhile(
        lambda each: each[0] <= at + _SLACK,
        _times(silence, since=at - silence.duration - _SLACK),
    )
    found = [each for each in near if each[0] <= at < each[1]]
    return max(found, key=lambda each: each[1], default=None)


def next_occurrence(silence: Silence, after: datetime) -> Occurrence | None:
    """The first time of a silence that begins after a moment; None if there is none."""
    if silence.is_over(after):
        return None
    times = _times(silence, since=after - _SLACK)
    return next((each for each in times if each[0] > after), None)


def last_end(silence: Silence) -> datetime | None:
    """When the last time of a silence ends; None if it recurs without end, or for ten years."""
    if silence.recurrence is None:
        return silence.ends_at
    if not _parts(silence.recurrence).keys() & {"COUNT", "UNTIL"}:
        return None
    clock = _Clock(silence)
    start = clock.first
    for start in clock.starts(near=clock.first):
        if start > clock.first + _LONG:
            return None
    return clock.placed(start)[1]


def _times(silence: Silence, *, since: datetime) -> Iterator[Occurrence]:
    """The times of a silence in their order: from about a moment on, for more than ten years."""
    if silence.recurrence is None:
        yield silence.starts_at, silence.ends_at
        return
    clock = _Clock(silence)
    for start in clock.starts(near=max(clock.first, clock.wall(since))):
        yield clock.placed(start)


class _Clock:
    """A recurring silence by the wall's clock; what has no time zone here is of its own."""

    def __init__(self, silence: Silence) -> None:
        self._duration = silence.duration
        self._zone = ZoneInfo(silence.time_zone)
        self._parts = _parts(silence.recurrence or "")
        self.first = self.wall(silence.starts_at)
        self._length = self.wall(silence.ends_at) - self.first

    def wall(self, at: datetime) -> datetime:
        """What the clock shows at a moment."""
        return at.astimezone(self._zone).replace(tzinfo=None)

    def placed(self, start: datetime) -> Occurrence:
        """The moments at which the clock shows a beginning and its end."""
        begins, ends = (
            each.replace(tzinfo=self._zone).astimezone(UTC)
            for each in (start, start + self._length)
        )
        # The clock may skip the end, or all of it.
        return begins, ends if ends > begins else begins + self._duration

    def starts(self, *, near: datetime) -> Iterator[datetime]:
        """The beginnings from one that the clock showed or will show on, for about ten years.

        What ends after so many is counted from the first, and ends within ten years of that.
        """
        parts = dict(self._parts)
        count, until = parts.pop("COUNT", None), parts.pop("UNTIL", None)
        first = self.first if count else self._wound_on(near)
        # Never without an end: dateutil looks for a 30th of February until the year 9999.
        end = (self.first if count else near) + _HORIZON
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        rule = cast("rrule", rrulestr(text, dtstart=first))
        found = rule.replace(until=min(end, _until(until, self._zone)) if until else end)
        counted = itertools.islice(found, int(count)) if count else iter(found)
        return itertools.dropwhile(lambda start: start < near, counted)

    def _wound_on(self, near: datetime) -> datetime:
        """A moment before another from which the same times follow as from the first."""
        step = _STEPS.get(self._parts["FREQ"])
        if step is None:  # months and years differ in length, and there are few of them
            return self.first
        turn = step * int(self._parts.get("INTERVAL", 1))
        return self.first + max((near - self.first) // turn - 1, 0) * turn


def _parts(text: str) -> dict[str, str]:
    """A rule's parts by their names.

    Raises:
        InvalidInput: If it has none, or one twice.
    """
    parts: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not name or not value:
            _refuse(f"'{part}' is no part of a rule; write it as in FREQ=WEEKLY;BYDAY=SU")
        if name in parts:
            _refuse(f"{name} stands there twice")
        parts[name] = value
    return parts


def _check_numbers(name: str, value: str) -> None:
    allowed = _NUMBERS[name]
    numbers = [value] if name in _SINGLE else value.split(",")
    sign = "[+-]?" if name in _FROM_THE_END else ""
    for each in numbers:
        if not re.fullmatch(rf"{sign}\d{{1,4}}", each) or abs(int(each)) not in allowed:
            counted = ", or minus that" if name in _FROM_THE_END else ""
            many = "a number" if name in _SINGLE else "numbers"
            _refuse(
                f"{name}={value} cannot be followed; it takes {many} from {allowed.start} to "
                f"{allowed.stop - 1}{counted}"
            )


def _until(value: str, zone: ZoneInfo) -> datetime:
    """The end of a rule by the wall's clock; a day belongs to it."""
    try:
        if "T" not in value:
            return datetime.combine(date.fromisoformat(value), time.max)
        at = datetime.fromisoformat(value)
    except ValueError:
        _refuse(f"UNTIL={value} is no time that there is")
    return at.astimezone(zone).replace(tzinfo=None) if at.tzinfo else at


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput(f"recurrence: {problem}", field="recurrence")

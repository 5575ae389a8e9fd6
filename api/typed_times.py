"""Owns the times that people type, ``30m`` and ``until 07:30``, and whose clock those mean."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from holdfast.domain.model import Duration
from holdfast.domain.policy import Policy
from holdfast.errors import InvalidInput

_CLOCK: Final = re.compile(r"(?:until\s+)?(\d{1,2}):(\d{2})(?:\s*(utc))?", re.IGNORECASE)
_SPAN: Final = re.compile(r"(?:for\s+)?(\d.*)", re.IGNORECASE)
_DURATION: Final[TypeAdapter[timedelta]] = TypeAdapter(Duration)


def read_time(words: str, *, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The moment that some words mean: after a span, or the next time that a clock shows it.

    Args:
        words: Such as ``30m``, ``for 1h 30m``, ``until 07:30`` or ``07:30 UTC``.
        zone: Whose clock, when the words do not say UTC.
        now: The present moment.

    Returns:
        The moment in UTC; None if the words mean none.

    Raises:
        InvalidInput: If no clock ever shows that.
    """
    if clock := _CLOCK.fullmatch(words):
        hour, minute, utc = clock.groups()
        return _next(int(hour), int(minute), zone=ZoneInfo("UTC") if utc else zone, now=now)
    if span := _SPAN.fullmatch(words):
        try:
            parts = (_DURATION.validate_python(each.lower()) for each in span[1].split())
            return now + _DURATION.validate_python(sum(parts, timedelta()))
        except ValidationError:
            return None
    return None


def write_time(at: datetime, *, zone: ZoneInfo, now: datetime) -> str:
    """A moment as somebody's clock shows it, with the day unless that is today."""
    local = at.astimezone(zone)
    is_today = local.date() == now.astimezone(zone).date()
    return f"{local:%H:%M}{'' if is_today else f' on {local:%d %b}'} {zone.key}"


def zone_of(policy: Policy, person: str | None) -> ZoneInfo:
    """Somebody's time zone as far as their schedules tell: UTC without one, or if they differ."""
    zones = {
        schedule.time_zone
        for schedule in policy.schedules.values()
        if person in {name for _, name in schedule.people()}
    }
    return ZoneInfo(zones.pop() if len(zones) == 1 else "UTC")


def _next(hour: int, minute: int, *, zone: ZoneInfo, now: datetime) -> datetime:
    try:
        wall = time(hour, minute, tzinfo=zone)
    except ValueError as error:
        raise InvalidInput(f"{hour}:{minute:02} is no time of the day") from error
    today = now.astimezone(zone).date()
    # Compared in UTC: a clock that is put back shows some times twice.
    at = datetime.combine(today, wall).astimezone(UTC)
    return at if at > now else datetime.combine(today + timedelta(days=1), wall).astimezone(UTC)

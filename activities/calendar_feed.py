"""Owns the calendar feed: fetching one, bounded, and reading the events of a time out of it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import recurring_ical_events  # type: ignore[import-untyped]  # it has no py.typed
from icalendar import Calendar, Event

from activities.excerpt import in_a_sentence
from activities.outbound import address, cause, seconds
from config.secrets import Secrets
from holdfast.domain.action import SECRET_IN_TEXT
from holdfast.domain.hours import instant
from holdfast.errors import ConfigurationError, Unavailable

# Ten years of daily shifts with long descriptions; more is no on-call calendar.
MOST_BYTES: Final = 5_000_000
TIMEOUT: Final = timedelta(seconds=10)
_FILE: Final = "file:"
_DAY: Final = timedelta(days=1)
_LATER: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
# Nobody's shifts; counting them through the years would keep a processor busy for as long.
_TOO_OFTEN: Final = {"SECONDLY", "MINUTELY"}


class Occurrence(NamedTuple):
    """An event, or one time of an event that recurs.

    Attributes:
        attendees: The email addresses of all who did not decline.
    """

    starts_at: datetime
    ends_at: datetime
    summary: str
    attendees: tuple[str, ...]


class Reading(NamedTuple):
    """What a feed says about a time.

    Attributes:
        unreadable: The events that make no sense, each with the reason.
    """

    occurrences: tuple[Occurrence, ...]
    unreadable: tuple[str, ...]


def shown(reference: str) -> str:
    """A calendar's reference for people, without what may be secret in it."""
    return reference if SECRET_IN_TEXT.search(reference) else address(reference)


async def fetch(reference: str, *, secrets: Secrets, http: httpx.AsyncClient) -> bytes:
    """Fetch a feed: from a file, or over HTTP without following redirects.

    Raises:
        Unavailable: If it can't be had now.
        ConfigurationError: If its address is wrong or it has more than ``MOST_BYTES``.
    """
    if reference.startswith(_FILE):
        content = await asyncio.to_thread(_read_file, Path(reference.removeprefix(_FILE)))
    else:
        content = await _download(http, secrets.fill(reference), shown(reference))
    if len(content) > MOST_BYTES:
        raise ConfigurationError(
            f"the calendar {shown(reference)} has more than {MOST_BYTES // 1_000_000} MB; "
            "give on-call shifts a calendar of their own"
        )
    return content


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the calendar file {path} can't be read: {cause(error)}"
        ) from error


async def _download(http: httpx.AsyncClient, url: str, name: str) -> bytes:
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            request = http.build_request("GET", url, timeout=None)
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                _check(response, name)
                return await _body(response)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise Unavailable(
            f"the calendar {name} gave no answer within {seconds(TIMEOUT)}"
        ) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ConfigurationError(
            f"the calendar {name} is no URL that begins with https:// or http://"
        ) from error
    except httpx.RequestError as error:
        raise Unavailable(f"the calendar {name} can't be reached: {cause(error)}") from error


def _check(response: httpx.Response, name: str) -> None:
    if response.is_success:
        return
    said = f"the calendar {name} answered {response.status_code}"
    if response.is_server_error or response.status_code in _LATER:
        raise Unavailable(said)
    if response.has_redirect_location:
        raise ConfigurationError(f"{said} and leads elsewhere; give the address that it leads to")
    raise ConfigurationError(f"{said}; check its address, and whether it is shared")


async def _body(response: httpx.Response) -> bytes:
    """The answer's beginning: just enough to see whether it is too long."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            break
    return bytes(body)


def read(content: bytes, *, time_zone: str, since: datetime, until: datetime) -> Reading:
    """Read the events of a time out of a feed. Slow: async code calls it in a thread.

    An event that makes no sense is left out, for it must not take everybody's shifts with it.

    Args:
        content: iCalendar (RFC 5545).
        time_zone: Of whole days and of times that name no time zone.
        since: The first moment.
        until: The first moment after it.

    Raises:
        ConfigurationError: If it is no calendar; the message says where, as a sentence's end.
    """
    occurrences: list[Occurrence] = []
    unreadable: list[str] = []
    for series in _series(content):
        try:
            occurrences += _occurrences(series, ZoneInfo(time_zone), since, until)
        except Exception as error:  # noqa: BLE001  # the edge to what others wrote, see _parsed
            title = in_a_sentence(_summary(series.events[0]))
            unreadable.append(f"{title!r}: {in_a_sentence(str(error)) or type(error).__name__}")
    return Reading(tuple(occurrences), tuple(unreadable))


def _series(content: bytes) -> Iterator[Calendar]:
    """The events, each with its recurrences and their exceptions as a calendar of its own."""
    for calendar in _parsed(content):
        by_uid: defaultdict[str, list[Event]] = defaultdict(list)
        for event in calendar.events:
            by_uid[str(event.get("UID", id(event)))].append(event)
        for events in by_uid.values():
            series = Calendar()
            # A zone that nobody knows: times that need it are then read as the schedule's.
            with suppress(KeyError, ValueError, OSError):
                series["X-WR-TIMEZONE"] = ZoneInfo(str(calendar["X-WR-TIMEZONE"])).key
            series.subcomponents.extend(events)
            yield series


def _parsed(content: bytes) -> list[Calendar]:
    try:
        components = Calendar.from_ical(content, multiple=True)
    except Exception as error:  # the edge to what others wrote: parsers raise anything
        raise ConfigurationError(f"not a calendar: {in_a_sentence(str(error))}") from error
    if not components or any(each.name != "VCALENDAR" for each in components):
        raise ConfigurationError("not a calendar: it does not begin with BEGIN:VCALENDAR")
    return components


def _occurrences(
    series: Calendar, zone: ZoneInfo, since: datetime, until: datetime
) -> list[Occurrence]:
    for event in series.events:
        if _TOO_OFTEN & {str(each) for rule in _all(event, "RRULE") for each in rule["FREQ"]}:
            raise ValueError("it recurs more often than once an hour")
    # A whole day may lie a day apart by another clock.
    events = recurring_ical_events.of(series).between(since - _DAY, until + _DAY)
    found = (_occurrence(each, zone) for each in events if each.get("STATUS") != "CANCELLED")
    return [
        each
        for each in found
        if each.ends_at > max(each.starts_at, since) and each.starts_at < until
    ]


def _occurrence(event: Any, zone: ZoneInfo) -> Occurrence:
    addresses = (str(each) for each in _all(event, "ATTENDEE") if not _declined(each))
    return Occurrence(
        starts_at=_moment(event["DTSTART"].dt, zone),
        ends_at=_moment(event["DTEND"].dt, zone),
        summary=_summary(event),
        attendees=tuple(
            each.partition(":")[2] for each in addresses if each.casefold().startswith("mailto:")
        ),
    )


def _moment(value: date, zone: ZoneInfo) -> datetime:
    if not isinstance(value, datetime):
        return instant(datetime.combine(value, time()), zone)
    return value.astimezone(UTC) if value.tzinfo else instant(value, zone)


def _summary(event: Any) -> str:
    return next((str(each) for each in _all(event, "SUMMARY")), "")


def _declined(attendee: Any) -> bool:
    return str(attendee.params.get("PARTSTAT", "")).upper() == "DECLINED"


def _all(event: Any, name: str) -> Iterable[Any]:
    """All values of a property that may come once, several times or not at all."""
    value = event.get(name, [])
    return value if isinstance(value, list) else [value]

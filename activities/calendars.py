"""Owns the calendars of on-call schedules: kept for a while, and whose on-call time they tell of.

A feed that is down does not stop pages: its last good copy serves for up to a day.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
import structlog

from activities.calendar_feed import Occurrence, Reading, fetch, read, shown
from activities.excerpt import in_a_sentence
from config.secrets import Secrets
from holdfast.domain.channel import ChannelKind
from holdfast.domain.directory import find_person
from holdfast.domain.policy import Policy
from holdfast.domain.rota import HORIZON, CalendarEvent
from holdfast.domain.schedule import Schedule
from holdfast.errors import ConfigurationError, HoldfastError, Unavailable

log = structlog.get_logger(__name__)

_FRESH: Final = timedelta(minutes=5)
_AGAIN: Final = timedelta(minutes=1)
_OLDEST: Final = timedelta(days=1)
# Whoever asks on a copy's last day looks ahead as far as on its first.
_REACH: Final = HORIZON + _OLDEST
# The activity that a page asks in has five seconds for all of its targets.
_PATIENCE: Final = timedelta(seconds=3)
# An unreadable event is rarely alone, and a log line is no list.
_NAMED: Final = 3


@dataclass(frozen=True)
class _Copy:
    """A feed as it was once, with what it says of the time around that."""

    content: bytes
    at: datetime
    reading: Reading

    def covers(self, since: datetime, until: datetime) -> bool:
        return self.at - _REACH <= since and until <= self.at + _REACH


@dataclass
class _Feed:
    """What is known of a calendar; its times are read by one time zone.

    Attributes:
        copy: The last good one.
        failure: Why there is no newer one.
        tried_at: When its last reading began.
        refresh: The reading that is under way.
    """

    copy: _Copy | None = None
    failure: HoldfastError | None = None
    tried_at: datetime | None = None
    refresh: asyncio.Task[None] | None = None


class Calendars:
    """Reads the calendars of schedules.

    An event is somebody's if its title is their key or name in the policy file, in capitals or
    not, alone or after the title's last colon (``On call: Ada Lovelace``); else if one who was
    invited and did not decline has the address of an email contact of theirs.

    Args:
        secrets: Gives the addresses that are secret.
        http: Its redirects and timeouts are not used.
        now: The clock.
        patience: How long a page waits for a feed that is being read.
    """

    def __init__(
        self,
        *,
        secrets: Secrets,
        http: httpx.AsyncClient,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience: timedelta = _PATIENCE,
    ) -> None:
        self._secrets = secrets
        self._http = http
        self._now = now
        self._patience = patience
        self._feeds: dict[tuple[str, str], _Feed] = {}

    async def events(
        self, name: str, schedule: Schedule, since: datetime, until: datetime, *, policy: Policy
    ) -> tuple[CalendarEvent, ...]:
        """Whose on-call time a schedule's calendar tells of; nothing for one that has none.

        Args:
            name: The schedule's, for messages.
            schedule: The schedule.
            since: The first moment.
            until: The first moment after it.
            policy: Knows the people.

        Raises:
            HoldfastError: If there is no copy of a day or less, and what is there is no calendar
                (``ConfigurationError``) or can't be had now (``Unavailable``).
        """
        if schedule.calendar is None:
            return ()
        copy = await self._current(name, schedule, schedule.calendar)
        reading = copy.reading
        if not copy.covers(since, until):
            reading = await _read(copy.content, schedule, since, until)
        names = _names(policy)
        return tuple(
            _event(each, names, policy)
            for each in reading.occurrences
            if each.ends_at > since and each.starts_at < until
        )

    async def check(self, name: str, schedule: Schedule) -> None:
        """Read a schedule's calendar anew, however fresh the copy is.

        Raises:
            HoldfastError: If it can't be read; the message names the schedule and the reason.
        """
        if schedule.calendar is None:
            return
        feed = self._feed(schedule, schedule.calendar)
        await asyncio.shield(self._refreshing(feed, name, schedule, schedule.calendar))
        if feed.failure:
            raise _of_schedule(name, feed.failure)

    async def close(self) -> None:
        """Stop what is being read."""
        running = [feed.refresh for feed in self._feeds.values() if feed.refresh]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _feed(self, schedule: Schedule, calendar: str) -> _Feed:
        key = (calendar, schedule.time_zone)
        if key not in self._feeds:
            self._forget_old()
        return self._feeds.setdefault(key, _Feed())

    def _forget_old(self) -> None:
        """Let go of calendars that no schedule follows any more: nobody asked for them lately."""
        too_old = self._now() - _OLDEST
        self._feeds = {
            key: feed
            for key, feed in self._feeds.items()
            if feed.refresh or (feed.tried_at and feed.tried_at > too_old)
        }

    async def _current(self, name: str, schedule: Schedule, calendar: str) -> _Copy:
        """The newest copy that can be had soon."""
        feed = self._feed(schedule, calendar)
        if feed.refresh or self._is_due(feed):
            # Not awaited itself: whoever asks may be cancelled, and the next one wants the copy.
            task = self._refreshing(feed, name, schedule, calendar)
            await asyncio.wait({task}, timeout=self._patience.total_seconds())
        if feed.copy and self._now() - feed.copy.at <= _OLDEST:
            return feed.copy
        slow = Unavailable(f"the calendar {shown(calendar)} has not answered yet")
        raise _of_schedule(name, feed.failure or slow)

    def _is_due(self, feed: _Feed) -> bool:
        if feed.tried_at is None:
            return True
        return self._now() - feed.tried_at >= (_AGAIN if feed.failure else _FRESH)

    def _refreshing(
        self, feed: _Feed, name: str, schedule: Schedule, calendar: str
    ) -> asyncio.Task[None]:
        """The one task that reads a feed, for all who wait for it."""
        if feed.refresh is None:
            work = self._refresh(feed, name, schedule, calendar)
            feed.refresh = asyncio.create_task(work, name=f"read the calendar of {name}")
        return feed.refresh

    async def _refresh(self, feed: _Feed, name: str, schedule: Schedule, calendar: str) -> None:
        feed.tried_at = at = self._now()
        try:
            content = await fetch(calendar, secrets=self._secrets, http=self._http)
            reading = await _read(content, schedule, at - _REACH, at + _REACH)
        except HoldfastError as error:
            why = self._secrets.hidden(str(error))
            feed.failure = type(error)(why)
            kept = f"the copy of {feed.copy.at:%Y-%m-%d %H:%M} UTC" if feed.copy else "nothing"
            log.warning("a calendar can't be read", schedule=name, why=why, using=kept)
        else:
            feed.copy, feed.failure = _Copy(content, at, reading), None
            if left_out := reading.unreadable:
                log.warning(
                    "a calendar has events that make no sense; they are left out",
                    schedule=name,
                    count=len(left_out),
                    events=left_out[:_NAMED],
                )
        finally:
            feed.refresh = None


async def _read(content: bytes, schedule: Schedule, since: datetime, until: datetime) -> Reading:
    zone = schedule.time_zone
    try:
        return await asyncio.to_thread(read, content, time_zone=zone, since=since, until=until)
    except ConfigurationError as error:
        raise ConfigurationError(f"{shown(schedule.calendar or '')} is {error}") from error


def _of_schedule(name: str, error: HoldfastError) -> HoldfastError:
    """The error with the schedule's name in front."""
    return type(error)(f"the schedule '{name}': {error}")


def _names(policy: Policy) -> Mapping[str, str]:
    """The people's keys, by all that they are called; a key goes before another's name."""
    called = {_plain(each.name): key for key, each in policy.people.items() if each.name}
    return called | {_plain(key): key for key in policy.people}


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _event(occurrence: Occurrence, names: Mapping[str, str], policy: Policy) -> CalendarEvent:
    return CalendarEvent(
        person=_person(occurrence, names, policy),
        starts_at=occurrence.starts_at,
        ends_at=occurrence.ends_at,
        summary=in_a_sentence(occurrence.summary),
    )


def _person(occurrence: Occurrence, names: Mapping[str, str], policy: Policy) -> str | None:
    title = occurrence.summary
    titled = (names.get(_plain(each)) for each in (title, title.rpartition(":")[2]))
    invited = (find_person(policy, ChannelKind.EMAIL, each) for each in occurrence.attendees)
    return next((each for each in (*titled, *invited) if each), None)

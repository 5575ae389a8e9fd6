"""Owns the roster: who is behind a target at a moment, and who is on call now and next."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from activities.calendars import Calendars
from holdfast.domain.model import Model, Name
from holdfast.domain.page import Recipient
from holdfast.domain.policy import Policy
from holdfast.domain.references import did_you_mean
from holdfast.domain.rota import HORIZON, CalendarEvent, next_shift, shift_at
from holdfast.domain.route import recipient
from holdfast.domain.schedule import Schedule, Shift
from holdfast.domain.target import Target
from holdfast.errors import HoldfastError, NotFound


class OnCall(Model):
    """Who is on call in a schedule.

    Attributes:
        now: The shift at the moment that was asked for; a gap has nobody in it.
        next: What follows it, a gap too; None if nothing does for as long as anybody looks ahead.
        problem: Why the schedule's calendar can't be read; only overrides are known then.
    """

    schedule: Name
    now: Shift
    next: Shift | None = None
    problem: str = ""


class _Events(NamedTuple):
    """What a schedule's calendar says around a moment, or why it says nothing."""

    known: tuple[CalendarEvent, ...]
    problem: str


@dataclass(frozen=True)
class Roster:
    """Looks up the people of the present policy."""

    policy: Callable[[], Policy]
    calendars: Calendars

    async def recipient(self, target: Target, *, at: datetime) -> tuple[Recipient, datetime | None]:
        """Where a target is reached at a moment, and until when: the end of a schedule's shift.

        What is wrong with a calendar, or missing from the policy, is the recipient's problem and
        no error: the page must be told of it, and the next level's people.
        """
        policy = self.policy()
        name = target.schedule or ""
        schedule = policy.schedules.get(name)
        if schedule is None:
            return recipient(target, policy), None
        events = await self._events(policy, name, at)
        # An override holds, whatever has become of the calendar.
        shift = shift_at(schedule, at, events=events.known)
        found = recipient(target, policy, shift=shift, trouble=events.problem)
        return found, shift.ends_at

    async def now_and_next(self, at: datetime) -> list[OnCall]:
        """Who is on call in each schedule at a moment, and who follows; in the policy's order."""
        policy = self.policy()
        return await asyncio.gather(*(self._on_call(policy, name, at) for name in policy.schedules))

    async def on_call(self, schedule: str, at: datetime) -> OnCall:
        """Who is on call in one schedule at a moment, and who follows.

        Raises:
            NotFound: If the policy has no such schedule.
        """
        policy = self.policy()
        if schedule not in policy.schedules:
            guess = did_you_mean(schedule, policy.schedules)
            raise NotFound(f"the policy file has no schedule '{schedule}'{guess}")
        return await self._on_call(policy, schedule, at)

    async def _on_call(self, policy: Policy, name: str, at: datetime) -> OnCall:
        schedule = policy.schedules[name]
        events = await self._events(policy, name, at)
        now = shift_at(schedule, at, events=events.known)
        if events.problem:
            # What lies between overrides is not known to be a gap.
            return OnCall(
                schedule=name,
                now=now if now.person else Shift(person=None),
                problem=events.problem,
            )
        following = next_shift(schedule, at, events=events.known)
        return OnCall(schedule=name, now=now, next=following)

    async def _events(self, policy: Policy, name: str, at: datetime) -> _Events:
        schedule: Schedule = policy.schedules[name]
        try:
            known = await self.calendars.events(
                name, schedule, at - HORIZON, at + HORIZON, policy=policy
            )
        except HoldfastError as error:
            return _Events((), str(error))
        return _Events(known, "")

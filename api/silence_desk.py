"""Owns what people do with silences: plan them, see how they stand, end them before their time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never
from zoneinfo import ZoneInfo

import structlog
from pydantic import AwareDatetime

from activities.recurrence import check_recurrence, last_end, next_occurrence, occurrence_at
from holdfast.domain.incident import Incident
from holdfast.domain.model import Model
from holdfast.domain.silence import LONGEST, Silence, SilenceState
from holdfast.errors import HoldfastError, InvalidInput
from storage.incidents import Incidents
from storage.page import Page
from storage.silences import Silences

log = structlog.get_logger(__name__)

# A worker that looks before it heard of the end finds the silence again, and waits for its old
# end. By then every worker has heard that PostgreSQL can reach.
_HEARD_WITHIN: Final = timedelta(seconds=3)
_PICKED_FROM: Final = 500
_INSTANT: Final = timedelta(microseconds=1)


class Times(Model):
    """How a silence stands at a moment.

    Attributes:
        starts_at: Of the time that holds pages, or else of the next.
    """

    state: SilenceState
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None


class SilenceDesk:
    """Makes silences and ends them.

    Args:
        silences: Where they are kept.
        incidents: The record of incidents.
        recheck: Has an incident look again whether its page is held.
        heard_within: So long after an end the last worker has heard of it.
    """

    def __init__(
        self,
        *,
        silences: Silences,
        incidents: Incidents,
        recheck: Callable[[Incident], Awaitable[None]],
        heard_within: timedelta = _HEARD_WITHIN,
    ) -> None:
        self._silences = silences
        self._incidents = incidents
        self._recheck = recheck
        self._heard_within = heard_within
        self._rechecking: set[asyncio.Task[None]] = set()

    async def create(self, silence: Silence) -> Silence:
        """Keep a new silence; gives it with the end of its last time.

        Raises:
            InvalidInput: If it can never hold anything, or does not start when its recurrence says.
            Unavailable: If PostgreSQL is away.
        """
        _check(silence)
        kept = silence.model_copy(update={"over_at": last_end(silence)})
        if kept.is_over(kept.created_at):
            raise InvalidInput(
                f"it would have ended at {kept.over_at}: nothing is left to silence",
                field="ends_at",
            )
        await self._silences.create(kept)
        return kept

    async def get(self, silence_id: str) -> Silence:
        """A silence.

        Raises:
            NotFound: If there is none of that id.
            Unavailable: If PostgreSQL is away.
        """
        return await self._silences.get(silence_id)

    async def list(
        self, state: SilenceState | None, *, limit: int, before: str | None
    ) -> Page[Silence]:
        """The silences of a state, or all, newest first.

        Raises:
            InvalidInput: If the cursor is not one that a page gave.
            Unavailable: If PostgreSQL is away.
        """
        now = datetime.now(UTC)
        match state:
            case None:
                return await self._silences.list(now=now, limit=limit, before=before)
            case SilenceState.PAST:
                return await self._silences.list(now=now, over=True, limit=limit, before=before)
            case SilenceState.ACTIVE | SilenceState.PLANNED:
                return await self._picked(state, now, limit=limit, before=before)
            case _:
                assert_never(state)

    async def _picked(
        self, state: SilenceState, now: datetime, *, limit: int, before: str | None
    ) -> Page[Silence]:
        """Those of one state, picked out of the few that stand: only their rules tell."""
        found: list[Silence] = []
        while True:
            page = await self._silences.list(now=now, over=False, limit=_PICKED_FROM, before=before)
            found += [each for each in page.items if times(each, now).state is state]
            before = page.cursor
            if before is None or len(found) > limit:
                break
        return Page[Silence].cut(found, limit=limit, place=lambda each: (each.created_at, each.id))

    async def end(self, silence_id: str, *, by: str) -> Silence:
        """End a silence before its time; the pages that it held are looked up again.

        Raises:
            NotFound: If there is none of that id.
            Conflict: If it is over.
            Unavailable: If PostgreSQL is away.
        """
        ended = await self._silences.end(silence_id, by=by, at=datetime.now(UTC))
        task = asyncio.create_task(self._recheck_all(ended), name="recheck what was silenced")
        self._rechecking.add(task)
        task.add_done_callback(self._rechecking.discard)
        return ended

    async def stop(self) -> None:
        """Look nothing up any more."""
        for task in self._rechecking:
            task.cancel()
        await asyncio.gather(*self._rechecking, return_exceptions=True)

    async def _recheck_all(self, ended: Silence) -> None:
        """Have what was silenced looked up again: at once, and when every worker knows of it."""
        await self._recheck_once(ended)
        await asyncio.sleep(self._heard_within.total_seconds())
        await self._recheck_once(ended)

    async def _recheck_once(self, ended: Silence) -> None:
        try:
            held = await self._held(ended)
        except HoldfastError as error:
            log.warning("what was silenced stays so for now", silence=ended.id, why=str(error))
            return
        for incident in held:
            try:
                await self._recheck(incident)
            except HoldfastError as error:
                log.warning(
                    "an incident stays silenced for now", incident=incident.id, why=str(error)
                )

    async def _held(self, ended: Silence) -> tuple[Incident, ...]:
        """The incidents that a silence may have held.

        By its own word, or by another's: the end that an incident waits for may be the end of a
        silence that would have followed the one which holds it.
        """
        others = await self._silences.standing(datetime.now(UTC))
        held = await self._incidents.held_by(ended.id, *(each.id for each in others))
        # Labels are those of the latest report, so they may have been others.
        match = ended.match.model_copy(update={"labels": {}})
        return tuple(
            each
            for each in held
            if match.fits(service=each.service, category=each.category, labels={})
        )


def times(silence: Silence, now: datetime) -> Times:
    """How a silence stands, with the time that holds pages now, or the next."""
    if silence.is_over(now):
        return Times(state=SilenceState.PAST)
    if present := occurrence_at(silence, now):
        starts_at, ends_at = present
        return Times(state=SilenceState.ACTIVE, starts_at=starts_at, ends_at=ends_at)
    if coming := next_occurrence(silence, now):
        starts_at, ends_at = coming
        return Times(state=SilenceState.PLANNED, starts_at=starts_at, ends_at=ends_at)
    return Times(state=SilenceState.PAST)


def _check(silence: Silence) -> None:
    if abs(silence.starts_at - silence.created_at) > LONGEST:
        raise InvalidInput(
            f"a silence starts within {LONGEST.days} days, not at {silence.starts_at}",
            field="starts_at",
        )
    if silence.recurrence is None:
        return
    check_recurrence(silence.recurrence)
    first = next_occurrence(silence, silence.starts_at - _INSTANT)
    if first is None or first[0] != silence.starts_at:
        start = _by_the_wall(silence.starts_at, silence)
        says = (
            f"the first from then on is {_by_the_wall(first[0], silence)}" if first else "none is"
        )
        raise InvalidInput(f"{start} is no time of {silence.recurrence}; {says}", field="starts_at")


def _by_the_wall(at: datetime, silence: Silence) -> str:
    return f"{at.astimezone(ZoneInfo(silence.time_zone)):%A, %Y-%m-%d %H:%M:%S} {silence.time_zone}"

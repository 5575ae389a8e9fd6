"""Owns the silences as a process knows them: paging asks here, and never waits for PostgreSQL.

With PostgreSQL away it goes on with what it knew last.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from activities.recurrence import occurrence_at
from holdfast.domain.silence import Silence

# Silences that follow each other without end are followed no further: a page is looked up again
# when the last of these ends, and finds the next.
_MOST_LINKS: Final = 30


class StandingSilences(Protocol):
    """Where silences are kept; see ``storage.silences``."""

    async def standing(self, now: datetime) -> tuple[Silence, ...]:
        """Those that hold pages, or may yet."""
        ...


class SilenceBook:
    """The silences that stand, in memory.

    Args:
        silences: Where they are kept.
    """

    def __init__(self, silences: StandingSilences) -> None:
        self._kept = silences
        self._standing: tuple[Silence, ...] = ()

    async def refresh(self) -> None:
        """Read them again: at the start, and whenever one was made or ended.

        Raises:
            Unavailable: If PostgreSQL is away; what was known stays.
        """
        self._standing = await self._kept.standing(datetime.now(UTC))

    def holding(
        self, *, service: str, category: str, labels: Mapping[str, str], at: datetime
    ) -> tuple[Silence, datetime] | None:
        """The silence that holds an incident's pages at a moment, and when nothing does any more.

        Of several it is the one that ends last. Where another takes over at its end or before, the
        moment is that one's end, and so on.
        """
        fitting = [
            each
            for each in self._standing
            if each.match.fits(service=service, category=category, labels=labels)
        ]
        silence, until = _longest(fitting, at)
        if silence is None:
            return None
        for _ in range(_MOST_LINKS):
            following, end = _longest(fitting, until)
            if following is None:
                break
            until = end
        return silence, until


def _longest(silences: list[Silence], at: datetime) -> tuple[Silence | None, datetime]:
    """The silence that holds a moment for the longest, and its end; the moment, if none does."""
    found = [(each, time[1]) for each in silences if (time := occurrence_at(each, at))]
    return max(found, key=lambda each: each[1], default=(None, at))

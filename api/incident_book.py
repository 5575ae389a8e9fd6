"""Owns how incidents are found by what people call them: the whole id, or its end."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final, Protocol

from activities.channels.sms_text import SHORT, short_id
from holdfast.domain.incident import Incident
from holdfast.errors import InvalidInput, NotFound, Unavailable
from storage.incidents import Incidents
from storage.page import Page

# A PostgreSQL that hangs must not keep a person waiting: Slack gives a command three seconds.
_PATIENCE: Final = timedelta(seconds=1)
_AT_A_TIME: Final = 500
# Nothing but this may go into a query of Temporal's list, where the desk looks for an id.
_ID: Final = re.compile(r"[0-9a-z-]{6,64}")


class IncidentBook(Protocol):
    """Finds incidents for people."""

    async def find(self, short_or_full: str) -> str:
        """The id of the incident that is called so.

        Raises:
            InvalidInput: If that can be no id, or several open incidents are called so.
            NotFound: If no open incident is called so.
            Unavailable: If that can't be found out now; a whole id always can.
        """
        ...

    async def active(self, limit: int) -> Sequence[Incident]:
        """The open incidents, newest first.

        Raises:
            Unavailable: If they can't be listed now.
        """
        ...


class RecordedIncidents:
    """Finds incidents in the record.

    A whole id is taken as it is, whether there is such an incident or not: whoever acts on it
    finds out, also with PostgreSQL away.
    """

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    async def find(self, short_or_full: str) -> str:
        """See ``IncidentBook``."""
        given = short_or_full.removeprefix("#").lower()
        if not _ID.fullmatch(given):
            raise InvalidInput(
                f"'{short_or_full}' is no incident's id; send the {SHORT} characters that the page "
                "shows, or the whole id"
            )
        if len(given) > SHORT:
            return given
        fitting = [each async for each in self._all() if short_id(each.id) == given]
        if not fitting:
            raise NotFound(f"no open incident is called {given}; it may be over")
        if len(fitting) > 1:
            ids = ", ".join(each.id for each in fitting)
            raise InvalidInput(f"{given} may be any of {ids}; send the whole id")
        return fitting[0].id

    async def active(self, limit: int) -> Sequence[Incident]:
        """See ``IncidentBook``."""
        return (await self._page(limit, None)).items

    async def _all(self) -> AsyncIterator[Incident]:
        page = await self._page(_AT_A_TIME, None)
        while True:
            for each in page.items:
                yield each
            if page.cursor is None:
                return
            page = await self._page(_AT_A_TIME, page.cursor)

    async def _page(self, limit: int, before: str | None) -> Page[Incident]:
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                return await self._incidents.active(limit=limit, before=before)
        except (TimeoutError, Unavailable) as error:
            raise Unavailable(
                "the record of incidents can't be read now, so none can be listed or found by "
                f"{SHORT} characters; the whole id still works, the page's link shows it"
            ) from error

"""Owns the ledger of pages: what each contact got lately, and what waits to go there.

Every incident pages by itself; here they see each other. What is written about a contact is written
by one transaction at a time, so that of two that may go only one does. Pages that wait lie here
for the first that may go to take along; should its message not arrive, the lease on them ends.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from holdfast.domain.person import Contact
from holdfast.domain.throttle import (
    LEASE,
    MOST_BUNDLED,
    MOST_CLAIMS,
    Admission,
    BundledIncident,
    Departure,
    LedgerPage,
    PageAsked,
    WaitingPage,
    departure,
    kept_back,
)
from storage.database import lock, statement, transaction
from storage.tables import pages

# No limit looks back further than a day.
_KEPT = timedelta(days=1)

# Of what was let through, no more than decides: as many messages as the largest limit counts, and
# the newest of the group, of the incident and of the service. So a storm makes no query slow.
_STATE = text("""
    SELECT 'known' AS part, pages.* FROM pages WHERE notification_id = :notification_id
    UNION ALL (
        SELECT 'lately', pages.* FROM pages
        WHERE contact = :contact AND admitted_at > :since AND bundle_id IS NULL
        ORDER BY admitted_at DESC LIMIT :messages
    ) UNION ALL (
        SELECT 'lately', pages.* FROM pages
        WHERE contact = :contact AND admitted_at > :since AND bundle_id IS NULL
            AND grouped_by = :grouped_by AND incident_id <> :incident_id
        ORDER BY admitted_at DESC LIMIT 1
    ) UNION ALL (
        SELECT 'lately', pages.* FROM pages
        WHERE contact = :contact AND admitted_at > :since AND incident_id = :incident_id
        ORDER BY admitted_at DESC LIMIT 1
    ) UNION ALL (
        SELECT 'lately', pages.* FROM pages
        WHERE contact = :contact AND admitted_at > :since AND service = :service
        ORDER BY admitted_at DESC LIMIT 1
    ) UNION ALL (
        SELECT 'waiting', pages.* FROM pages
        WHERE contact = :contact AND grouped_by = :grouped_by
            AND admitted_at IS NULL AND withdrawn_at IS NULL
            AND (claims < :most_claims OR bundle_id = :notification_id)
        ORDER BY asked_at, notification_id LIMIT :most
    )
""")

# Whoever asks again keeps its place among those that wait.
_KEEP = text("""
    WITH pruned AS (
        DELETE FROM pages WHERE notification_id IN (
            SELECT notification_id FROM pages
            WHERE contact = :contact AND asked_at < :past
                AND (admitted_at IS NULL OR admitted_at < :past)
                AND notification_id <> ALL(CAST(:kept AS text[]))
            LIMIT 100
        )
    ), claimed AS (
        UPDATE pages
        SET bundle_id = :notification_id, claimed_until = :claimed_until, claims = claims + 1
        WHERE notification_id = ANY(CAST(:claimed AS text[]))
    )
    INSERT INTO pages (
        notification_id, contact, incident_id, workflow_id, service, grouped_by, severity, title,
        asked_at, admitted_at
    ) VALUES (
        :notification_id, :contact, :incident_id, :workflow_id, :service, :grouped_by, :severity,
        :title, :asked_at, :admitted_at
    )
    ON CONFLICT (notification_id) DO UPDATE SET
        contact = excluded.contact, admitted_at = excluded.admitted_at,
        bundle_id = NULL, claimed_until = NULL, withdrawn_at = NULL
""")

_SENT = text("""
    UPDATE pages AS told SET
        sent_at = now(),
        admitted_at = coalesce(message.admitted_at, now()),
        bundle_id = CASE WHEN told.notification_id <> :notification_id THEN told.bundle_id END
    FROM pages AS message
    WHERE message.notification_id = :notification_id
        AND (told.notification_id = :notification_id OR told.bundle_id = :notification_id)
        AND told.sent_at IS NULL
""")

_CONTACTS_OF = text("""
    SELECT DISTINCT contact FROM pages
    WHERE incident_id = :incident_id AND admitted_at IS NULL AND withdrawn_at IS NULL
    ORDER BY contact
""")

_WITHDRAW = text("""
    UPDATE pages SET withdrawn_at = now()
    WHERE incident_id = :incident_id AND admitted_at IS NULL AND withdrawn_at IS NULL
""")

_NEWEST = text("""
    SELECT incident_id FROM pages
    WHERE contact = ANY(CAST(:contacts AS text[])) AND sent_at IS NOT NULL AND bundle_id IS NULL
    ORDER BY sent_at DESC LIMIT 1
""")


class PageLedger:
    """The pages of all incidents, by contact."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # A process's own pages to one contact wait for each other here, where that takes no
        # connection of the pool.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def admit(self, asked: PageAsked, *, now: datetime) -> Admission:
        """Decide whether a page goes now, and remember it; asking again is asking once.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        turn = self._turns.setdefault(str(asked.contact), asyncio.Lock())
        async with turn, transaction(self._engine) as connection:
            await _lock(connection, str(asked.contact))
            rows = await _rows(connection, asked, now)
            known = next(map(_page, rows["known"]), None)
            # By id, because a page may be the newest in more than one way.
            lately = {row["notification_id"]: _told(row) for row in rows["lately"]}
            back = kept_back(asked, known=known, lately=tuple(lately.values()), now=now)
            if back is None:
                waiting = map(_waiting, rows["waiting"])
                goes = departure(asked, known=known, waiting=waiting, now=now)
                if not isinstance(known, LedgerPage):
                    await connection.execute(_KEEP, _kept(asked, goes, now))
                return goes.admission
            if known is None:
                await connection.execute(_KEEP, _kept(asked, None, now))
            return back

    async def sent(self, notification_id: str) -> None:
        """A page went out, with all that it speaks for.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        contact_of = select(pages.c.contact).where(pages.c.notification_id == notification_id)
        async with transaction(self._engine) as connection:
            contact = await connection.scalar(contact_of)
            if contact is None:  # it went while the ledger could not be asked
                return
            await _lock(connection, contact)
            await connection.execute(_SENT, {"notification_id": notification_id})

    async def withdraw(self, incident_id: str) -> None:
        """Take an incident's waiting pages out, so that no message lists them.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        incident = {"incident_id": incident_id}
        async with transaction(self._engine) as connection:
            contacts = (await connection.scalars(_CONTACTS_OF, incident)).all()
            for contact in contacts:
                await _lock(connection, contact)
            if contacts:
                await connection.execute(_WITHDRAW, incident)

    async def newest_for(self, contacts: Sequence[Contact]) -> str | None:
        """The incident that any of some contacts was sent a page of last, open or not.

        What that message only spoke for too does not count.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        async with statement(self._engine) as connection:
            found: str | None = await connection.scalar(_NEWEST, _named(contacts))
        return found


async def _lock(connection: AsyncConnection, contact: str) -> None:
    await lock(connection, f"pages to {contact}")


async def _rows(
    connection: AsyncConnection, asked: PageAsked, now: datetime
) -> dict[str, list[RowMapping]]:
    """What decides about a page: ``known`` of it, let through ``lately``, and ``waiting``."""
    state = {
        "notification_id": asked.notification_id,
        "contact": str(asked.contact),
        "incident_id": asked.incident_id,
        "service": asked.service,
        "grouped_by": asked.group,
        "since": now - asked.looks_back,
        "messages": max((limit.messages for limit in asked.limits), default=0),
        "most_claims": MOST_CLAIMS,
        # One more: the page itself may be among them.
        "most": MOST_BUNDLED + 1,
    }
    parts: dict[str, list[RowMapping]] = {"known": [], "lately": [], "waiting": []}
    for row in (await connection.execute(_STATE, state)).mappings():
        parts[row["part"]].append(row)
    return parts


def _kept(asked: PageAsked, goes: Departure | None, now: datetime) -> dict[str, Any]:
    """A page's row: one that goes, or one that waits."""
    claims = list(goes.claims) if goes else []
    return asked.model_dump(include={"notification_id", "incident_id", "workflow_id"}) | {
        "contact": str(asked.contact),
        "service": asked.service,
        "grouped_by": asked.group,
        "severity": asked.severity,
        "title": asked.title,
        "asked_at": now,
        "admitted_at": now if goes else None,
        "claimed": claims,
        "claimed_until": now + LEASE,
        "kept": [asked.notification_id, *claims],
        "past": now - _KEPT,
    }


def _page(row: RowMapping) -> LedgerPage | WaitingPage:
    return _waiting(row) if row["admitted_at"] is None else _told(row)


def _told(row: RowMapping) -> LedgerPage:
    return LedgerPage(
        notification_id=row["notification_id"],
        incident_id=row["incident_id"],
        service=row["service"],
        group=row["grouped_by"],
        at=row["admitted_at"],
        told_by=row["bundle_id"],
    )


def _waiting(row: RowMapping) -> WaitingPage:
    return WaitingPage(
        notification_id=row["notification_id"],
        incident=BundledIncident.model_validate(dict(row)),
        claimed_by=row["bundle_id"],
        claimed_until=row["claimed_until"],
        claims=row["claims"],
    )


def _named(contacts: Sequence[Contact]) -> dict[str, Any]:
    return {"contacts": [str(contact) for contact in contacts]}

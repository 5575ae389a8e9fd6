"""Owns the reload of the policy file over all processes: whoever is asked tells the others."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from config.policy import Change, PolicyHolder
from holdfast.domain.audit import AuditEntry, AuditEvent
from storage.audit import Audit, AuditFilter
from storage.database import ping
from storage.notifications import notify
from storage.presence import POLICY_CHANGED

log = structlog.get_logger(__name__)


class PolicyReload:
    """Reloads a process's policy when somebody asks here, or asked another process."""

    def __init__(self, engine: AsyncEngine, holder: PolicyHolder) -> None:
        self._engine = engine
        self._audit = Audit(engine)
        self._holder = holder
        self._reloading = asyncio.Lock()

    async def reload(self, *, actor: str) -> tuple[Change, ...]:
        """Reload here, put the difference on the record, and have all processes follow.

        Raises:
            ConfigurationError: If the file is broken; the present policy stays, everywhere.
            Unavailable: If PostgreSQL is away: nobody could be told, and nothing recorded.
        """
        async with self._reloading:
            await ping(self._engine)
            changes = await asyncio.to_thread(self._holder.reload)
            await self._audit.append(self._entry(changes, actor=actor))
            await notify(self._engine, POLICY_CHANGED, self._holder.current.hash)
        return changes

    async def follow(self) -> None:
        """Reload if the last reload that anybody was asked for led to another policy than ours.

        It is found in the audit log, so that a process that was out of reach catches up.

        Raises:
            ConfigurationError: If the file is broken here; the present policy stays.
            Unavailable: If PostgreSQL is away.
        """
        async with self._reloading:
            wanted = AuditFilter(event=AuditEvent.CONFIG_RELOADED)
            latest = await self._audit.entries(wanted, limit=1, newest_first=True)
            ours = self._holder.current.hash
            if not latest.items or latest.items[0].detail.get("hash") == ours:
                return
            await asyncio.to_thread(self._holder.reload)
            log.info("the policy was reloaded", was=ours, now=self._holder.current.hash)

    def _entry(self, changes: tuple[Change, ...], *, actor: str) -> AuditEntry:
        count = {0: "no change", 1: "1 change"}.get(len(changes), f"{len(changes)} changes")
        return AuditEntry(
            workflow_id="policy",
            run_id=str(uuid4()),
            sequence=1,
            at=datetime.now(UTC),
            event=AuditEvent.CONFIG_RELOADED,
            actor=actor,
            summary=f"{actor} reloaded the policy file: {count}",
            detail={
                "hash": self._holder.current.hash,
                "changes": [change.model_dump(mode="json") for change in changes],
            },
        )

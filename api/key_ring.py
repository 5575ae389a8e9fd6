"""Owns the API keys in memory, so that a key is good while PostgreSQL is away too."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pydantic import AwareDatetime

from holdfast.domain.model import Model
from holdfast.domain.role import Role
from holdfast.errors import Unauthenticated, Unavailable
from storage.keys import ADMIN_NAME, Keys, hash_secret

log = structlog.get_logger(__name__)

REFRESH_EVERY: Final = timedelta(seconds=30)
# Until the first refresh nobody but the admin can come in: that is worth asking more often.
_FIRST_REFRESH_EVERY: Final = timedelta(seconds=1)


class Caller(Model):
    """Who asks: the key's name, which the audit log keeps, and what it may do."""

    name: str
    roles: frozenset[Role]


class KeyRing:
    """All active keys, by the hashes of their secrets.

    Args:
        keys: Where they are kept.
        admin_secret: The settings' admin key, always good; it is put into the table too, so that
            the list of keys shows it.
    """

    def __init__(self, keys: Keys, *, admin_secret: str | None) -> None:
        self._keys = keys
        self._admin_secret = admin_secret
        self._callers: Mapping[bytes, Caller] = self._with_admin({})
        self._refreshing = asyncio.Lock()
        self.admin_id: str | None = None
        self.refreshed_at: AwareDatetime | None = None

    def __len__(self) -> int:
        return len(self._callers)

    def caller(self, secret: str) -> Caller:
        """Who has a secret.

        Raises:
            Unauthenticated: If nobody has it, or no longer.
            Unavailable: If the keys were never read: PostgreSQL was away since the start.
        """
        if found := self._callers.get(hash_secret(secret)):
            return found
        if self.refreshed_at is None:
            # Not 401, on which a reporter would throw its reports away.
            raise Unavailable("API keys cannot be checked: PostgreSQL is away since the start")
        raise Unauthenticated("nobody has this API key, or it was revoked")

    async def refresh(self) -> None:
        """Read the keys anew.

        Raises:
            Unavailable: If PostgreSQL is away; what was known stays good.
        """
        async with self._refreshing:
            if self._admin_secret and self.admin_id is None:
                self.admin_id = (await self._keys.ensure_admin(self._admin_secret)).id
            active = await self._keys.active()
            callers = {hashed: Caller(name=key.name, roles=key.roles) for hashed, key in active}
            self._callers = self._with_admin(callers)
            self.refreshed_at = datetime.now(UTC)

    async def keep_fresh(self) -> None:
        """Read the keys anew from time to time, until cancelled."""
        while True:
            pause = REFRESH_EVERY if self.refreshed_at else _FIRST_REFRESH_EVERY
            await asyncio.sleep(pause.total_seconds())
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001  # the task's edge: the next may go well
                log.info("API keys stay as they were", why=str(error))

    def _with_admin(self, callers: Mapping[bytes, Caller]) -> Mapping[bytes, Caller]:
        if not self._admin_secret:
            return callers
        admin = Caller(name=ADMIN_NAME, roles=frozenset({Role.ADMIN}))
        return {**callers, hash_secret(self._admin_secret): admin}

"""Owns the API keys: names, roles, and a hash of each secret, never the secret."""

import hashlib
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from pydantic import AwareDatetime
from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.model import Model
from holdfast.domain.role import Role
from holdfast.errors import Conflict, NotFound
from storage.database import lock, statement, transaction
from storage.tables import api_keys

ADMIN_NAME = "admin"

_FIELDS = [column for column in api_keys.columns if column is not api_keys.c.hash]


class ApiKey(Model):
    """A key as people see it.

    Attributes:
        name: The actor in the audit log; unique among keys that are not revoked.
    """

    id: str
    name: str
    roles: frozenset[Role]
    created_at: AwareDatetime
    revoked_at: AwareDatetime | None = None


def hash_secret(secret: str) -> bytes:
    """The SHA-256 of a secret.

    A plain fast hash is right here, where it would be wrong for a password: a secret is 256 random
    bits, so there is no dictionary to try and salt or stretching would add nothing but the time
    that every request waits.
    """
    return hashlib.sha256(secret.encode()).digest()


class Keys:
    """The issued keys."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, name: str, roles: Collection[Role], secret: str) -> ApiKey:
        """Issue a key.

        Raises:
            Conflict: If an active key has the name, or any key the secret.
        """
        query = insert(api_keys).values(_row(name, roles, secret)).returning(*_FIELDS)
        try:
            async with statement(self._engine) as connection:
                row = (await connection.execute(query)).mappings().one()
        except IntegrityError as error:
            raise Conflict(
                f"a key named '{name}' is in use: revoke it first, or take another name"
            ) from error
        return _key(row)

    async def active(self) -> list[tuple[bytes, ApiKey]]:
        """The hash and the key of all that are not revoked."""
        query = select(api_keys).where(api_keys.c.revoked_at.is_(None))
        async with statement(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [(row["hash"], _key(row)) for row in rows]

    async def list(self) -> list[ApiKey]:
        """All keys that were ever issued, oldest first."""
        query = select(*_FIELDS).order_by(api_keys.c.created_at, api_keys.c.id)
        async with statement(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_key(row) for row in rows]

    async def revoke(self, key_id: str) -> ApiKey:
        """End a key; one that was revoked before keeps its time.

        Raises:
            NotFound: If there is no such key.
        """
        query = (
            update(api_keys)
            .where(api_keys.c.id == key_id)
            .values(revoked_at=func.coalesce(api_keys.c.revoked_at, func.now()))
            .returning(*_FIELDS)
        )
        async with statement(self._engine) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"no API key has the id '{key_id}'")
        return _key(row)

    async def ensure_admin(self, secret: str) -> ApiKey:
        """Make the secret of the settings the admin's, and the only one under that name.

        The settings have the last word: a former secret is revoked, and revoking the present one
        lasts until the next start. To be rid of it, change the setting.
        """
        row = _row(ADMIN_NAME, [Role.ADMIN], secret)
        former = (
            update(api_keys)
            .where(api_keys.c.name == ADMIN_NAME, api_keys.c.hash != row["hash"])
            .where(api_keys.c.revoked_at.is_(None))
            .values(revoked_at=func.now())
        )
        ensure = insert(api_keys).values(row)
        ensure = ensure.on_conflict_do_update(
            index_elements=[api_keys.c.hash],
            set_={"name": ADMIN_NAME, "roles": row["roles"], "revoked_at": None},
        )
        async with transaction(self._engine) as connection:
            # Every API process does this at its start, several perhaps at the same moment.
            await lock(connection, "admin key")
            await connection.execute(former)
            found = (await connection.execute(ensure.returning(*_FIELDS))).mappings().one()
        return _key(found)


def _row(name: str, roles: Collection[Role], secret: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "name": name,
        "roles": sorted(role.value for role in roles),
        "hash": hash_secret(secret),
    }


def _key(row: RowMapping) -> ApiKey:
    return ApiKey.model_validate(dict(row))

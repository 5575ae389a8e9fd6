"""Owns the routes of API keys: they are made, listed and revoked."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from api.authentication import Admin
from api.dependencies import ServicesDependency
from api.documentation import example, problems
from api.examples import ISSUED_KEY, KEY, KEYS
from api.key_ring import Caller
from api.listing import Listing
from api.services import Services
from holdfast.domain.audit import SYSTEM, AuditEntry, AuditEvent
from holdfast.domain.model import Name
from holdfast.domain.role import Role
from holdfast.errors import Conflict, InvalidInput
from storage.keys import ApiKey
from storage.notifications import notify
from storage.presence import KEYS_CHANGED

router = APIRouter(tags=["administration"])

_PREFIX: Final = "hf_"


class NewKey(BaseModel):
    """What a key is for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "channels", "roles": ["reporter"]}]},
    )

    name: Name = Field(
        description="Whose key it is: the actor in the audit log.", examples=["channels"]
    )
    roles: set[Role] = Field(min_length=1, description="What it may do.", examples=[["reporter"]])


class IssuedKey(ApiKey):
    """A new key with its secret, which is never shown again."""

    secret: str = Field(
        description="Send it with every request: `Authorization: Bearer hf_...`.",
        examples=["hf_Zm9yIHRoZSBleGFtcGxlIG9ubHksIG5vIGtleQ"],
    )


@router.get(
    "/keys",
    summary="All API keys",
    response_description="The oldest first, revoked ones included.",
    responses=example(KEYS),
)
async def list_keys(services: ServicesDependency, _: Admin) -> Listing[ApiKey]:
    """List every key that was ever issued; their secrets are not kept."""
    return Listing(items=await services.issued_keys.list())


@router.post(
    "/keys",
    status_code=201,
    summary="Make an API key",
    response_description="The key with its secret, which is shown this once.",
    responses=example(ISSUED_KEY, status=201) | problems(409),
)
async def create_key(services: ServicesDependency, caller: Admin, body: NewKey) -> IssuedKey:
    """Issue a key. All processes know it at once."""
    if body.name == SYSTEM:
        raise InvalidInput(f"'{SYSTEM}' stands for the system itself in the log", field="name")
    secret = _PREFIX + secrets.token_urlsafe(32)
    key = await services.issued_keys.create(body.name, body.roles, secret)
    roles = ", ".join(sorted(key.roles))
    await _record(services, caller, key, AuditEvent.KEY_CREATED, f"made it: {roles}")
    return IssuedKey.model_validate(key.model_dump() | {"secret": secret})


@router.delete(
    "/keys/{key_id}",
    summary="Revoke an API key",
    response_description="The key, good no longer.",
    responses=example(KEY) | problems(404, 409),
)
async def revoke_key(
    services: ServicesDependency,
    caller: Admin,
    key_id: Annotated[str, Path(max_length=100, description="The key's id, not its secret.")],
) -> ApiKey:
    """Revoke a key. All processes that can be reached refuse it at once."""
    if key_id == services.keys.admin_id:
        raise Conflict("this key is the setting HOLDFAST_ADMIN_KEY; change the setting instead")
    key = await services.issued_keys.revoke(key_id)
    await _record(services, caller, key, AuditEvent.KEY_REVOKED, "revoked it")
    return key


async def _record(
    services: Services, caller: Caller, key: ApiKey, event: AuditEvent, what: str
) -> None:
    """Put it on the record, and have this process and all others know."""
    entry = AuditEntry(
        workflow_id="api-keys",
        # Revoking a key twice is one fact.
        run_id=key.id,
        sequence=1 if event is AuditEvent.KEY_CREATED else 2,
        at=datetime.now(UTC),
        event=event,
        actor=caller.name,
        summary=f"API key '{key.name}': {caller.name} {what}",
        detail={"key": key.id, "name": key.name, "roles": [*sorted(key.roles)]},
    )
    await services.audit.append(entry)
    await services.keys.refresh()
    await notify(services.engine, KEYS_CHANGED, key.id)

"""Owns who may ask what: every route but ``GET /health`` requires a role of the caller's key."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.dependencies import ServicesDependency
from api.key_ring import Caller
from holdfast.domain.role import Role, allows
from holdfast.errors import Forbidden, Unauthenticated

_bearer = HTTPBearer(
    scheme_name="api-key",
    bearerFormat="hf_...",
    description="An API key: `Authorization: Bearer hf_...`. An admin makes them: `POST /keys`.",
    auto_error=False,
)


@dataclass(frozen=True)
class Require:
    """The dependency that lets those in whose key has a role.

    Attributes:
        role: The role, or one that includes it.
    """

    role: Role

    async def __call__(
        self,
        services: ServicesDependency,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Caller:
        """Give the caller.

        Raises:
            Unauthenticated: Without a key, or with one that nobody has.
            Forbidden: With a good key that lacks the role.
        """
        if credentials is None:
            raise Unauthenticated("this needs an API key: send Authorization: Bearer hf_...")
        caller = services.keys.caller(credentials.credentials)
        if not allows(caller.roles, self.role):
            has = ", ".join(sorted(caller.roles)) or "none"
            raise Forbidden(f"this needs the role {self.role}; the key '{caller.name}' has: {has}")
        return caller


def require(role: Role) -> Require:
    """Let those in whose key has a role: ``Annotated[Caller, Depends(require(Role.VIEWER))]``."""
    return Require(role)


Reporter = Annotated[Caller, Depends(require(Role.REPORTER))]
Viewer = Annotated[Caller, Depends(require(Role.VIEWER))]
Responder = Annotated[Caller, Depends(require(Role.RESPONDER))]
Operator = Annotated[Caller, Depends(require(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(require(Role.ADMIN))]

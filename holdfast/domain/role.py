"""Owns the roles of API keys, and which of them includes which."""

from collections.abc import Collection
from enum import StrEnum


class Role(StrEnum):
    """What a key may do; people's roles build on each other, a reporter's stands alone.

    A reporter's key lies in every service's configuration. It tells how the service fares and reads
    what the service is to go by, breakers and features, and nothing else.
    """

    REPORTER = "reporter"
    VIEWER = "viewer"
    RESPONDER = "responder"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def included(self) -> frozenset["Role"]:
        """This role and all that it includes."""
        match self:
            case Role.ADMIN:
                return frozenset(Role)
            case Role.OPERATOR:
                return Role.RESPONDER.included | {self}
            case Role.RESPONDER:
                return Role.VIEWER.included | {self}
            case Role.VIEWER | Role.REPORTER:
                return frozenset({self})


def allows(roles: Collection[Role], needed: Role) -> bool:
    """Whether any of the roles is the needed one or includes it."""
    return any(needed in role.included for role in roles)

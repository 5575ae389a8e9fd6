"""Owns the one-time link: by it whoever was told of an incident acts on it once, without a key."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import ClassVar, Final

from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import ValidationError

from holdfast.domain.model import Model
from holdfast.domain.notification import Notification
from holdfast.errors import NotFound

_SALT: Final = "holdfast.action-link.1"
# Longer than a holiday week-end: a mail that is read late still leads somewhere.
_WORTH: Final = timedelta(days=7)
# As long as the name of whoever acts may be; see ``custody.Actor``.
_LONGEST_NAME: Final = 200


class LinkUnknown(NotFound):
    """Nobody here made this link, or it did not arrive whole."""


class LinkExpired(NotFound):
    """The link is too old to act by."""

    status: ClassVar[int] = HTTPStatus.GONE


class ActionLink(Model):
    """What a link says, and nobody can have changed.

    Attributes:
        notification_id: The message that it came with; it is used up under this name.
        person: The key in the policy file of whoever was told, if it knows them.
        address: Where the message went: who acts, if no person is known.
    """

    incident_id: str
    notification_id: str
    person: str | None = None
    address: str


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ActionLinks:
    """Makes links, and reads those that come back; without both settings there are none.

    Attributes:
        secret: Signs them; the same for all processes.
        public_url: Where people reach the API.
        now: The clock.
    """

    secret: str | None = field(repr=False)
    public_url: str | None
    now: Callable[[], datetime] = _utc_now

    def url(self, notification: Notification) -> str | None:
        """The link for whoever is told; None where nobody has set up links."""
        if not (self.secret and self.public_url):
            return None
        address = notification.address
        link = ActionLink(
            incident_id=notification.headline.incident_id,
            notification_id=notification.id,
            person=notification.person,
            address=(address.to or address.channel)[:_LONGEST_NAME],
        )
        token = _serializer(self.secret).dumps(link.model_dump(exclude_none=True))
        return f"{self.public_url.rstrip('/')}/act/{token}"

    def read(self, token: str) -> ActionLink:
        """What a link says.

        Raises:
            LinkUnknown: If it was not made with this secret.
            LinkExpired: If it is older than a week.
        """
        if not self.secret:
            raise LinkUnknown("this Holdfast gives out no links: HOLDFAST_LINK_SECRET is not set")
        try:
            said, made_at = _serializer(self.secret).loads(token, return_timestamp=True)
            link = ActionLink.model_validate(said)
        except (BadData, ValidationError) as error:
            raise LinkUnknown(
                "this link was not made here, or is not whole; copy all of it from the message"
            ) from error
        if self.now() - made_at > _WORTH:
            raise LinkExpired(
                f"this link is older than {_WORTH.days} days; open the incident to act on it"
            )
        return link


def _serializer(secret: str) -> URLSafeTimedSerializer:
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeTimedSerializer(secret, salt=_SALT, signer_kwargs=signer)

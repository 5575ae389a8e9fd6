"""Owns what every channel has in common: how it is called, and the two ways in which it fails."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from urllib.parse import quote

from holdfast.domain.model import Model
from holdfast.domain.notification import FailureKind, Notification, Receipt
from holdfast.errors import HoldfastError


class Links(Model):
    """Where a person reads on and acts; None where no address is known.

    Attributes:
        act_url: Lets whoever was told act on the incident once, without a key.
    """

    incident_url: str | None = None
    temporal_url: str | None = None
    act_url: str | None = None


@dataclass(frozen=True)
class Addresses:
    """Makes an incident's links from where people reach the parts of the system.

    Attributes:
        public_url: The API's and the operator's page's, from the settings.
        temporal_ui_url: The Temporal UI's, from the settings.
        namespace: The Temporal namespace of the workflows.
        act_url: Makes the one-time link of whoever is told.
    """

    public_url: str | None
    temporal_ui_url: str | None
    namespace: str
    act_url: Callable[[Notification], str | None]

    def links(self, notification: Notification) -> Links:
        """The links of an incident, and of whoever is told of it."""
        headline = notification.headline
        incident_id = quote(headline.incident_id, safe="")
        workflow_id = quote(headline.workflow_id, safe="")
        workflow = f"/namespaces/{quote(self.namespace, safe='')}/workflows/{workflow_id}"
        return Links(
            incident_url=_below(self.public_url, f"/api/system/errors/{incident_id}"),
            temporal_url=_below(self.temporal_ui_url, workflow),
            act_url=self.act_url(notification),
        )


def _below(base: str | None, path: str) -> str | None:
    return f"{base.rstrip('/')}{path}" if base else None


class Sender(Protocol):
    """Sends over one configured channel.

    A notification may be sent again when its first answer was lost; each time it carries its id,
    by which a receiver that can tell a repeat tells it.
    """

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """Send once, without trying again.

        Raises:
            DeliveryRejected: If it will never go through.
            DeliveryDeferred: If it may go through later.
            ConfigurationError: If a secret is missing.
        """
        ...

    async def check(self) -> None:
        """Find out whether the channel's settings work, without telling anybody anything.

        Raises:
            DeliveryRejected: If they don't: a token is refused, a server knows no such account.
            DeliveryDeferred: If that could not be found out now.
            ConfigurationError: If a secret is missing.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class DeliveryRejected(HoldfastError):
    """The channel will never take this notification.

    Args:
        kind: Whether the notification or the channel's configuration is at fault.
        reason: What the channel said, for people.
    """

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class DeliveryDeferred(HoldfastError):
    """The channel may take the notification later.

    Args:
        reason: What went wrong, for people.
        retry_after: What the channel asked for, if it did.
    """

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after

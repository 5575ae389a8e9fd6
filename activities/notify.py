"""Owns the sending of notifications: the channel that the policy names, tried once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

import httpx
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links, Sender
from activities.channels.slack import SlackSender
from activities.channels.webhook import WebhookSender
from config.secrets import Secrets
from holdfast.domain.channel import Channel, SlackChannel, WebhookChannel
from holdfast.domain.notification import FailureKind, Headline, Notification, Receipt
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError

DEFERRED = "deferred"


@dataclass(frozen=True)
class NotifyActivities:
    """Tells people over the channels of the current policy.

    Attributes:
        links: Gives an incident's links, such as ``Addresses.links``.
        http: Shared by all webhooks; whoever made it closes it.
    """

    policy: Callable[[], Policy]
    secrets: Secrets
    links: Callable[[Headline], Links]
    http: httpx.AsyncClient
    # By what the policy file says of them: a channel that a reload changed gets a new sender,
    # while the old one may still be sending.
    _senders: dict[Channel, Sender] = field(default_factory=dict, init=False)

    @activity.defn(name="send_notification")
    async def send_notification(self, notification: Notification) -> Receipt:
        """Send one notification once; Temporal tries again.

        Raises:
            ApplicationError: Non-retryable with a ``FailureKind`` as its type when it can never
                go through; else of type ``deferred``, with the delay that the channel asked for.
        """
        try:
            sender = self._sender(notification.target.channel)
            return await sender.send(notification, self.links(notification.headline))
        # Without their causes: Temporal would keep those too, and with them what is hidden here.
        except DeliveryRejected as error:
            raise self._lasting(error.kind, error) from None
        except ConfigurationError as error:
            raise self._lasting(FailureKind.CONFIGURATION, error) from None
        except DeliveryDeferred as error:
            reason = self.secrets.hidden(str(error))
            # Not worth a traceback each time: Temporal tries again and shows how often.
            activity.logger.warning("a page waits: %s", reason)
            raise ApplicationError(
                reason,
                type=DEFERRED,
                next_retry_delay=error.retry_after,
                category=ApplicationErrorCategory.BENIGN,
            ) from None

    async def close(self) -> None:
        """Close every connection that was opened to a vendor."""
        while self._senders:
            _, sender = self._senders.popitem()
            await sender.close()

    def _sender(self, name: str) -> Sender:
        channel = self.policy().channels.get(name)
        if channel is None:
            raise ConfigurationError(f"the policy file has no channel '{name}'; add it to channels")
        if channel not in self._senders:
            self._senders[channel] = self._made(channel)
        return self._senders[channel]

    def _made(self, channel: Channel) -> Sender:
        match channel:
            case SlackChannel():
                return SlackSender(channel, self.secrets)
            case WebhookChannel():
                return WebhookSender(channel, self.secrets, self.http)
            case _:
                assert_never(channel)

    def _lasting(self, kind: FailureKind, error: Exception) -> ApplicationError:
        return ApplicationError(
            self.secrets.hidden(str(error)), type=kind.value, non_retryable=True
        )

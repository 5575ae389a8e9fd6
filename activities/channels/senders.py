"""Owns the senders of a process: one for each channel of the present policy, made when needed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

import httpx

from activities.channels.apprise_urls import AppriseSender
from activities.channels.channel import Sender
from activities.channels.mail import MailSender
from activities.channels.pagerduty import PagerDutySender
from activities.channels.slack import SlackSender
from activities.channels.sms import SmsSender
from activities.channels.webhook import WebhookSender
from config.secrets import Secrets
from holdfast.domain.channel import (
    AppriseChannel,
    Channel,
    EmailChannel,
    PagerDutyChannel,
    SlackChannel,
    SmsChannel,
    WebhookChannel,
)
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError


@dataclass(frozen=True)
class Senders:
    """Gives each channel's sender.

    Attributes:
        public_url: Where vendors reach the API, for what they tell later.
        http: Shared by all webhooks; whoever made it closes it.
    """

    policy: Callable[[], Policy]
    secrets: Secrets
    public_url: str | None
    http: httpx.AsyncClient
    # By what the policy file says of them: a channel that a reload changed gets a new sender,
    # while the old one may still be sending.
    _made: dict[Channel, Sender] = field(default_factory=dict, init=False)

    def of(self, name: str) -> Sender:
        """The sender of a channel.

        Raises:
            ConfigurationError: If the policy file has no such channel.
        """
        channel = self.policy().channels.get(name)
        if channel is None:
            raise ConfigurationError(f"the policy file has no channel '{name}'; add it to channels")
        if channel not in self._made:
            self._made[channel] = self._make(channel)
        return self._made[channel]

    async def check(self, name: str) -> None:
        """Find out whether a channel's settings work; raises as ``Sender.check``."""
        await self.of(name).check()

    async def close(self) -> None:
        """Close every connection that was opened to a vendor."""
        while self._made:
            _, sender = self._made.popitem()
            await sender.close()

    def _make(self, channel: Channel) -> Sender:
        match channel:
            case SlackChannel():
                return SlackSender(channel, self.secrets)
            case WebhookChannel():
                return WebhookSender(channel, self.secrets, self.http)
            case PagerDutyChannel():
                return PagerDutySender(channel, self.secrets)
            case EmailChannel():
                return MailSender(channel, self.secrets)
            case SmsChannel():
                return SmsSender(channel, self.secrets, public_url=self.public_url)
            case AppriseChannel():
                return AppriseSender(channel, self.secrets)
            case _:
                assert_never(channel)

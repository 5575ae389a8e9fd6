"""Owns the channels over which people are reached, as the policy file describes them."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.action import SecretReference
from holdfast.domain.model import Duration, Model, Name
from holdfast.domain.throttle import TEXT_MESSAGE_LIMITS, Limit

_SECONDS = timedelta(seconds=1)
_HTTP_URL = r"^https?://[^/?#@]+([/?#]|$)"
_HTTP_BASE = r"^https?://[^?#@]+$"


class ChannelKind(StrEnum):
    """What a channel speaks."""

    SLACK = "slack"
    WEBHOOK = "webhook"
    PAGERDUTY = "pagerduty"
    EMAIL = "email"
    SMS = "sms"
    APPRISE = "apprise"

    @property
    def edits(self) -> bool:
        """Whether a message there is brought up to date in place, instead of news being sent."""
        return self is ChannelKind.SLACK

    @property
    def mirrors(self) -> bool:
        """Whether a system there follows the incident, so that it is told of every change."""
        return self in {ChannelKind.PAGERDUTY, ChannelKind.WEBHOOK, ChannelKind.SLACK}


class _Channel(Model):
    """What every channel has.

    Attributes:
        timeout: For one request.
        deadline: How long it is tried before the next contact or the fallback has its turn.
        fallback: The channel that takes over for targets which name this one and not a person.
        limits: No more than so many pages to one contact.
    """

    timeout: Duration = 10 * _SECONDS
    deadline: Duration = Field(60 * _SECONDS, ge=_SECONDS)
    fallback: Name | None = None
    limits: tuple[Limit, ...] = Field((), max_length=10)


class SlackChannel(_Channel):
    """Slack, through its Web API.

    Attributes:
        token: A bot token (``xoxb-...``) with the scopes ``chat:write`` and ``commands``.
        to: The channel or member that targets without an address of their own reach.
        signing_secret: Checks what Slack sends to ``/slack/interactions`` and ``/slack/commands``.
        app_token: An app token (``xapp-...``): clicks and commands come over Socket Mode.
        base_url: Slack's Web API, or what stands in for it.
    """

    kind: Literal["slack"]
    token: SecretReference
    to: str | None = Field(None, max_length=200)
    signing_secret: SecretReference | None = None
    app_token: SecretReference | None = None
    base_url: str = Field("https://slack.com/api/", pattern=r"^https?://.+/$")


class WebhookChannel(_Channel):
    """Any HTTP receiver; requests are signed as Standard Webhooks says.

    Attributes:
        secrets: Each signs; two while a key is being changed.
    """

    kind: Literal["webhook"]
    url: str = Field(pattern=_HTTP_URL)
    secrets: tuple[SecretReference, ...] = Field((), max_length=4)


class PagerDutyChannel(_Channel):
    """A PagerDuty service, through Events v2.

    Attributes:
        routing_key: The integration key of the service.
        webhook_secrets: Check what PagerDuty sends to ``/pagerduty/webhooks``; several while a
            key is being changed.
        base_url: PagerDuty's Events API, or what stands in for it.
    """

    kind: Literal["pagerduty"]
    routing_key: SecretReference
    webhook_secrets: tuple[SecretReference, ...] = Field((), max_length=4)
    base_url: str = Field("https://events.pagerduty.com", pattern=_HTTP_BASE)


class EmailSecurity(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class EmailChannel(_Channel):
    """Email over SMTP.

    Attributes:
        sender: The From address.
        to: The addresses that targets without one of their own reach, separated by commas.
        ca_file: What the server's certificate is checked with, in place of the system's.
    """

    kind: Literal["email"]
    host: str = Field(min_length=1, max_length=255)
    port: int = Field(587, ge=1, le=65535)
    security: EmailSecurity = EmailSecurity.STARTTLS
    username: SecretReference | None = None
    password: SecretReference | None = None
    ca_file: str | None = None
    sender: str = Field(pattern=r"^[^@<>\s]+@[^@<>\s]+$|^.+<[^@<>\s]+@[^@<>\s]+>$")
    to: str | None = Field(None, max_length=2000)
    deadline: Duration = Field(300 * _SECONDS, ge=_SECONDS)

    @model_validator(mode="after")
    def _signs_in_whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self


class SmsChannel(_Channel):
    """Text messages through Twilio.

    Attributes:
        account_sid: The account's name (``AC...``), by reference.
        auth_token: Signs in, and checks what Twilio sends to ``/twilio``.
        sender: The number that messages come from (``+15551234567``), or a messaging service.
        base_url: Twilio's API, or what stands in for it.
    """

    kind: Literal["sms"]
    account_sid: SecretReference
    auth_token: SecretReference
    sender: str = Field(pattern=r"^(\+[1-9]\d{6,14}|MG[0-9a-f]{32})$")
    to: str | None = Field(None, pattern=r"^\+[1-9]\d{6,14}$")
    base_url: str = Field("https://api.twilio.com", pattern=_HTTP_BASE)
    deadline: Duration = Field(120 * _SECONDS, ge=_SECONDS)
    limits: tuple[Limit, ...] = Field(TEXT_MESSAGE_LIMITS, max_length=10)


class AppriseChannel(_Channel):
    """Whatever Apprise knows: Teams, Discord, Telegram, Opsgenie and a hundred more.

    Attributes:
        urls: Apprise URLs, by reference: they hold tokens.
    """

    kind: Literal["apprise"]
    urls: tuple[SecretReference, ...] = Field(min_length=1, max_length=20)
    to: None = None


Channel = Annotated[
    SlackChannel | WebhookChannel | PagerDutyChannel | EmailChannel | SmsChannel | AppriseChannel,
    Field(discriminator="kind"),
]

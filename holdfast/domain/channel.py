"""Owns the channels over which people are reached, as the policy file describes them."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from holdfast.domain.action import SecretReference
from holdfast.domain.model import Duration, Model


class SlackChannel(Model):
    """Slack, through its Web API.

    Attributes:
        token: A bot token (``xoxb-...``) with the ``chat:write`` scope.
        to: The channel or member that targets without an address of their own reach.
        base_url: Slack's Web API, or what stands in for it.
    """

    kind: Literal["slack"]
    token: SecretReference
    to: str | None = Field(None, max_length=200)
    base_url: str = Field("https://slack.com/api/", pattern=r"^https?://.+/$")
    timeout: Duration = timedelta(seconds=10)


class WebhookChannel(Model):
    """Any HTTP receiver; requests are signed as Standard Webhooks says.

    Attributes:
        secrets: Each signs; two while a key is being changed.
    """

    kind: Literal["webhook"]
    url: str = Field(pattern=r"^https?://[^/?#@]+([/?#]|$)")
    secrets: tuple[SecretReference, ...] = Field((), max_length=4)
    timeout: Duration = timedelta(seconds=10)


Channel = Annotated[SlackChannel | WebhookChannel, Field(discriminator="kind")]

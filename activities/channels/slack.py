"""Owns the sending to Slack through its Web API."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from activities.channels import slack_message
from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.slack_failure import RefusedBySlack, failure
from activities.outbound import cause, seconds
from config.secrets import Secrets
from holdfast.domain.channel import SlackChannel
from holdfast.domain.notification import FailureKind, Notification, NotificationKind, Receipt

Method = Callable[..., Awaitable[AsyncSlackResponse]]

_POSTS = "chat:write"


class SlackSender:
    """Posts notifications with one channel's token, in Block Kit, and brings pages up to date.

    Slack's Web API knows no idempotency key: a message whose answer was lost is posted again,
    for a page that comes twice is better than none. Its metadata carries the notification's id,
    by which apps in the workspace can tell.

    Messages have buttons when the channel can hear of clicks: with a signing secret or an app
    token. Without either Slack would show an error to whoever clicks; they get links instead.

    Args:
        channel: As the policy file describes it.
        secrets: Gives the token; asked each time, so that a new one needs no restart.
    """

    def __init__(self, channel: SlackChannel, secrets: Secrets) -> None:
        self._channel = channel
        self._secrets = secrets
        self._clickable = bool(channel.signing_secret or channel.app_token)
        timeout = aiohttp.ClientTimeout(total=channel.timeout.total_seconds())
        self._session = aiohttp.ClientSession(timeout=timeout)
        # Trying again is Temporal's part: it survives a crash and knows when nobody wants it any
        # more. The SDK would do it on its own.
        self._client = AsyncWebClient(
            base_url=channel.base_url, session=self._session, retry_handlers=[]
        )

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """See ``channel.Sender``; news are posted into the page's thread.

        An update changes the page in place and tells its thread what is new.

        Returns:
            ``<channel id>:<ts>`` as the reference: of the new message, or of the changed page.
        """
        if notification.kind is NotificationKind.UPDATE:
            return await self._bring_up_to_date(notification, links)
        response = await self._asked(
            self._client.chat_postMessage,
            text=slack_message.text(notification),
            blocks=slack_message.blocks(notification, links, clickable=self._clickable),
            metadata=_metadata(notification),
            unfurl_links=False,
            unfurl_media=False,
            **self._where(notification),
        )
        return Receipt(reference=f"{response['channel']}:{response['ts']}")

    async def check(self) -> None:
        """See ``channel.Sender``; the token is what can be checked without telling anybody."""
        try:
            response = await self._asked(self._client.auth_test)
        except DeliveryRejected as error:
            raise DeliveryRejected(
                FailureKind.CONFIGURATION,
                f"Slack refuses the channel's token: {error}; put the app's bot token (xoxb-...) "
                f"where {self._channel.token} points",
            ) from error
        scopes = response.headers.get("X-OAuth-Scopes")
        if scopes and _POSTS not in {each.strip() for each in scopes.split(",")}:
            raise DeliveryRejected(
                FailureKind.CONFIGURATION,
                f"the channel's token lacks the scope {_POSTS}; add it to the Slack app and "
                "install the app again",
            )

    async def close(self) -> None:
        """Close the connections to Slack."""
        await self._session.close()

    async def _bring_up_to_date(self, notification: Notification, links: Links) -> Receipt:
        channel_id, ts = _reference(notification)
        try:
            await self._asked(
                self._client.chat_update,
                channel=channel_id,
                ts=ts,
                text=slack_message.text(notification),
                blocks=slack_message.blocks(notification, links, clickable=self._clickable),
            )
        except RefusedBySlack as error:
            if not error.message_is_gone:
                raise
            # The thread may still be there; where it is gone too, there is nobody to tell.
            with suppress(RefusedBySlack):
                await self._tell_thread(notification)
        else:
            await self._tell_thread(notification)
        return Receipt(reference=notification.reply_to)

    async def _tell_thread(self, notification: Notification) -> None:
        if not notification.lines:
            return
        channel_id, ts = _reference(notification)
        await self._asked(
            self._client.chat_postMessage,
            channel=channel_id,
            thread_ts=ts,
            text=slack_message.thread_text(notification.lines),
            blocks=slack_message.thread_blocks(notification.lines),
            metadata=_metadata(notification),
            unfurl_links=False,
            unfurl_media=False,
        )

    async def _asked(self, method: Method, **arguments: Any) -> AsyncSlackResponse:
        """Slack's answer to one request."""
        token = await asyncio.to_thread(self._secrets.resolve, self._channel.token)
        try:
            return await method(token=token, **arguments)
        except SlackApiError as error:
            raise failure(error) from error
        except aiohttp.InvalidURL as error:
            reason = f"Slack's base_url cannot be used: {error}"
            raise DeliveryRejected(FailureKind.CONFIGURATION, reason) from error
        except TimeoutError as error:
            reason = f"Slack gave no answer within {seconds(self._channel.timeout)}"
            raise DeliveryDeferred(reason) from error
        except aiohttp.ClientError as error:
            raise DeliveryDeferred(f"Slack could not be reached: {cause(error)}") from error

    def _where(self, notification: Notification) -> dict[str, Any]:
        """The page's thread for news; a conversation of its own for what is to alarm somebody."""
        alarms = {NotificationKind.PAGE, NotificationKind.REMINDER}
        if notification.kind not in alarms and ":" in (notification.reply_to or ""):
            channel_id, ts = _reference(notification)
            # Whoever reads the channel must see that nobody has it any more.
            seen = notification.kind is NotificationKind.UNACKNOWLEDGED
            return {"channel": channel_id, "thread_ts": ts, "reply_broadcast": seen}
        address = notification.address
        to = address.to or self._channel.to
        if to is None:
            raise DeliveryRejected(
                FailureKind.CONFIGURATION,
                f"neither the target nor the channel '{address.channel}' says whom to reach in "
                "Slack; add to",
            )
        return {"channel": to}


def _reference(notification: Notification) -> tuple[str, str]:
    """The channel's id and the ``ts`` of the page that a notification follows up."""
    channel_id, _, ts = (notification.reply_to or "").rpartition(":")
    if not channel_id or not ts:
        raise DeliveryRejected(
            FailureKind.REJECTED,
            f"{notification.reply_to!r} is no message in Slack; <channel id>:<ts> was expected",
        )
    return channel_id, ts


def _metadata(notification: Notification) -> dict[str, Any]:
    return {
        "event_type": "holdfast_notification",
        "event_payload": {
            "notification_id": notification.id,
            "kind": notification.kind.value,
            "incident_id": notification.headline.incident_id,
            "workflow_id": notification.headline.workflow_id,
        },
    }

"""Owns the sending to Slack through its Web API."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from activities.channels import slack_message
from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.outbound import cause, retry_after, seconds
from config.secrets import Secrets
from holdfast.domain.channel import SlackChannel
from holdfast.domain.notification import FailureKind, Notification, NotificationKind, Receipt

# From Slack's list of chat.postMessage's errors. What passes by itself:
_LATER = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "fatal_error",
        "internal_error",
        "request_timeout",
        "service_unavailable",
        "org_login_required",  # "undergoing an enterprise migration ... until it is complete"
        "team_added_to_org",
    }
)
# What somebody has to put right: in Slack, in the channel's token, or in the policy file.
_CONFIGURATION = frozenset(
    {
        "access_denied",
        "accesslimited",
        "account_inactive",
        "as_user_not_supported",
        "cannot_reply_to_message",
        "channel_is_limited_access",
        "channel_not_found",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "invalid_auth",
        "is_archived",
        "is_inactive",
        "messages_tab_disabled",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "not_in_channel",
        "restricted_action",
        "restricted_action_non_threadable_channel",
        "restricted_action_read_only_channel",
        "restricted_action_thread_locked",
        "restricted_action_thread_only_channel",
        "team_access_not_granted",
        "team_not_found",
        "token_expired",
        "token_revoked",
        "two_factor_setup_required",
        "user_not_found",
    }
)


class SlackSender:
    """Posts notifications with one channel's token, in Block Kit.

    Slack's Web API knows no idempotency key: a message whose answer was lost is posted again,
    for a page that comes twice is better than none. Its metadata carries the notification's id,
    by which apps in the workspace can tell.

    Args:
        channel: As the policy file describes it.
        secrets: Gives the token; asked each time, so that a new one needs no restart.
    """

    def __init__(self, channel: SlackChannel, secrets: Secrets) -> None:
        self._channel = channel
        self._secrets = secrets
        timeout = aiohttp.ClientTimeout(total=channel.timeout.total_seconds())
        self._session = aiohttp.ClientSession(timeout=timeout)
        # Trying again is Temporal's part: it survives a crash and knows when nobody wants it any
        # more. The SDK would do it on its own.
        self._client = AsyncWebClient(
            base_url=channel.base_url, session=self._session, retry_handlers=[]
        )

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """See ``channel.Sender``; news are posted into the page's thread.

        Returns:
            ``<channel id>:<ts>`` as the reference.
        """
        token = await asyncio.to_thread(self._secrets.resolve, self._channel.token)
        where = self._where(notification)
        try:
            response = await self._client.chat_postMessage(
                token=token,
                text=slack_message.text(notification),
                blocks=slack_message.blocks(notification, links),
                metadata=_metadata(notification),
                unfurl_links=False,
                unfurl_media=False,
                **where,
            )
        except SlackApiError as error:
            raise _failure(error) from error
        except aiohttp.InvalidURL as error:
            reason = f"Slack's base_url cannot be used: {error}"
            raise DeliveryRejected(FailureKind.CONFIGURATION, reason) from error
        except TimeoutError as error:
            reason = f"Slack gave no answer within {seconds(self._channel.timeout)}"
            raise DeliveryDeferred(reason) from error
        except aiohttp.ClientError as error:
            raise DeliveryDeferred(f"Slack could not be reached: {cause(error)}") from error
        return Receipt(reference=f"{response['channel']}:{response['ts']}")

    async def close(self) -> None:
        """Close the connections to Slack."""
        await self._session.close()

    def _where(self, notification: Notification) -> dict[str, Any]:
        channel_id, _, ts = (notification.reply_to or "").rpartition(":")
        # A page is never hidden in a thread, where nobody is alarmed by it.
        if notification.kind is not NotificationKind.PAGE and channel_id:
            return {"channel": channel_id, "thread_ts": ts}
        to = notification.target.to or self._channel.to
        if to is None:
            raise DeliveryRejected(
                FailureKind.CONFIGURATION,
                f"neither the target nor the channel '{notification.target.channel}' says whom "
                "to reach in Slack; add to",
            )
        return {"channel": to}


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


def _failure(error: SlackApiError) -> DeliveryRejected | DeliveryDeferred:
    # An answer that is no JSON leaves the SDK with aiohttp's response in the place of its own.
    response = error.response
    unread = isinstance(response, aiohttp.ClientResponse)
    status = response.status if unread else response.status_code
    said = None if unread or not isinstance(response.data, dict) else response.data.get("error")
    reason = f"Slack answered {status}" + (f": {said}" if said else "")
    passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if passing or said in _LATER or unread:
        asked = retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC))
        return DeliveryDeferred(reason, retry_after=asked)
    if said in _CONFIGURATION:
        return DeliveryRejected(FailureKind.CONFIGURATION, reason)
    return DeliveryRejected(FailureKind.REJECTED, reason)

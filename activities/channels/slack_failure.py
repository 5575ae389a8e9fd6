"""Owns what Slack's refusals mean: what passes by itself, and whom it is up to otherwise."""

from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
from slack_sdk.errors import SlackApiError

from activities.channels.channel import DeliveryDeferred, DeliveryRejected
from activities.outbound import retry_after
from holdfast.domain.notification import FailureKind

# From Slack's lists of the errors of chat.postMessage, chat.update and auth.test. What passes by
# itself:
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
# What Slack says of a message that is not there any more, or that must not be changed.
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class RefusedBySlack(DeliveryRejected):
    """Slack said no.

    Args:
        kind: Whose fault it is.
        reason: The sentence.
        said: Slack's own word; None when it gave none.
    """

    def __init__(self, kind: FailureKind, reason: str, *, said: str | None) -> None:
        super().__init__(kind, reason)
        self.said = said

    @property
    def message_is_gone(self) -> bool:
        """Whether the message that was to be changed can't be, now or later."""
        return self.said in _GONE


def failure(error: SlackApiError) -> RefusedBySlack | DeliveryDeferred:
    """What an answer of Slack's that is no success comes to."""
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
    kind = FailureKind.CONFIGURATION if said in _CONFIGURATION else FailureKind.REJECTED
    return RefusedBySlack(kind, reason, said=said)

"""Owns the sending of text messages through Twilio."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp
import httpx
from twilio.http.async_http_client import (  # type: ignore[import-untyped]  # it ships no types
    AsyncTwilioHttpClient,
)
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.sms_text import text
from activities.excerpt import in_a_sentence
from activities.outbound import cause, retry_after, seconds
from config.secrets import Secrets
from holdfast.domain.channel import SmsChannel
from holdfast.domain.notification import FailureKind, Notification, Receipt

# From Twilio's dictionary of errors (twilio.com/docs/api/errors). What passes by itself:
_LATER: Final = frozenset(
    {
        20429,  # too many requests
        21611,  # the sender's queue is full
    }
)
# What somebody has to put right in the account or in the policy file, not in a person's number.
_CONFIGURATION: Final = frozenset(
    {
        20003,  # signing in failed
        20005,  # the account is not active
        20404,  # no such account or resource
        21212,  # the sender is no valid number
        21603,  # no sender
        21606,  # the sender cannot send text messages
        21608,  # a trial account, which reaches verified numbers only
        21609,  # the address for delivery reports cannot be used
        21659,  # the sender is none of Twilio's numbers
        21660,  # the sender belongs to another account
        21661,  # the sender cannot send text messages
        21703,  # the messaging service has no sender
        21704,  # the messaging service has no sender for that country
    }
)
_CONFIGURATION_STATUS: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
)
# Twilio refuses the whole message when it is to report to one of these.
_UNREACHABLE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SmsSender:
    """Sends text messages with one channel's account.

    Twilio knows no idempotency key for messages: one whose answer was lost is sent again, for a
    page that comes twice is better than none. The URL that it reports the delivery to names the
    notification, so that both reports are about the same one.

    Args:
        channel: As the policy file describes it.
        secrets: Gives account and token; asked each time, so that new ones need no restart.
        public_url: Where Twilio reaches the API; None if it can't.
    """

    def __init__(self, channel: SmsChannel, secrets: Secrets, *, public_url: str | None) -> None:
        self._channel = channel
        self._secrets = secrets
        self._public_url = public_url
        self._http = _OneTry()

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """See ``channel.Sender``.

        Returns:
            The message's SID as the reference.
        """
        message = self._message(notification, links)
        client = await self._client()
        async with _told_apart(self._channel):
            sent = await client.messages.create_async(**message)
        return Receipt(reference=sent.sid)

    async def check(self) -> None:
        """See ``channel.Sender``: the account is asked for, and has to be active."""
        client = await self._client()
        async with _told_apart(self._channel):
            account = await client.api.v2010.accounts(client.account_sid).fetch_async()
        if account.status != "active":
            reason = f"Twilio says that the account is {account.status}"
            raise DeliveryRejected(FailureKind.CONFIGURATION, reason)

    async def close(self) -> None:
        """Close the connections to Twilio."""
        await self._http.close()

    async def _client(self) -> Any:
        account_sid = await asyncio.to_thread(self._secrets.resolve, self._channel.account_sid)
        token = await asyncio.to_thread(self._secrets.resolve, self._channel.auth_token)
        # Where it goes, the policy file alone says: not TWILIO_REGION or TWILIO_EDGE.
        nowhere = {"TWILIO_REGION": "", "TWILIO_EDGE": ""}
        client = Client(account_sid, token, http_client=self._http, environment=nowhere)
        client.api.base_url = self._channel.base_url
        return client

    def _message(self, notification: Notification, links: Links) -> dict[str, Any]:
        to = notification.address.to or self._channel.to
        if to is None:
            raise DeliveryRejected(
                FailureKind.CONFIGURATION,
                f"neither the target nor the channel '{notification.address.channel}' has a number "
                "to send to; add to",
            )
        is_service = self._channel.sender.startswith("MG")
        message: dict[str, Any] = {
            "to": to,
            "messaging_service_sid" if is_service else "from_": self._channel.sender,
            "body": text(notification, links),
            # One typographic quote would halve what a message holds; Twilio replaces those.
            "smart_encoded": True,
        }
        report_to = self._report_to(notification)
        return message | ({"status_callback": report_to} if report_to else {})

    def _report_to(self, notification: Notification) -> str | None:
        url = self._public_url
        if not url or urlsplit(url).hostname in _UNREACHABLE:
            return None
        about = {"incident": notification.headline.incident_id, "notification": notification.id}
        return f"{url.rstrip('/')}/twilio/status?{urlencode(about)}"


class _OneTry(AsyncTwilioHttpClient):  # type: ignore[misc]  # it ships no types
    """Asks Twilio once, and tells failures by the whole answer: its errors leave the headers out.

    Trying again is Temporal's part; the SDK does so only when told to.
    """

    async def request(self, method: str, url: str, **asked: Any) -> Response:
        """Give an answer that holds what was asked for.

        Raises:
            DeliveryRejected: If Twilio will never do it.
            DeliveryDeferred: If it may later.
        """
        # Here, and not as the library does it: with a part of aiohttp that is about to be removed.
        signed_in = b64encode(":".join(asked.pop("auth")).encode()).decode()
        headers = asked.pop("headers") | {"Authorization": f"Basic {signed_in}"}
        response = await super().request(method, url, headers=headers, **asked)
        said = _read(response)
        if not httpx.codes.is_success(response.status_code):
            raise _failure(response, said)
        if "sid" not in said:
            raise DeliveryDeferred(f"Twilio answered {response.status_code}, but not as it should")
        return response

    def log_request(self, _: dict[str, Any]) -> None:
        """Say nothing: the URL holds the account, which the policy file has by reference."""

    def log_response(self, _: int, __: Any) -> None:
        """Say nothing, as of the request."""


@asynccontextmanager
async def _told_apart(channel: SmsChannel) -> AsyncIterator[None]:
    """Bounds one exchange with Twilio, and says why there was no answer."""
    try:
        async with asyncio.timeout(channel.timeout.total_seconds()):
            yield
    except aiohttp.InvalidURL as error:
        reason = f"Twilio's base_url cannot be used: {error}"
        raise DeliveryRejected(FailureKind.CONFIGURATION, reason) from error
    except TimeoutError as error:
        reason = f"Twilio gave no answer within {seconds(channel.timeout)}"
        raise DeliveryDeferred(reason) from error
    except aiohttp.ClientError as error:
        raise DeliveryDeferred(f"Twilio could not be reached: {cause(error)}") from error


def _read(response: Response) -> dict[str, Any]:
    """What Twilio says; nothing if that is not its JSON."""
    try:
        said = json.loads(response.text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _failure(response: Response, said: dict[str, Any]) -> DeliveryRejected | DeliveryDeferred:
    status, code = response.status_code, said.get("code")
    named = f" with error {code}" if code else ""
    words = said.get("message") or said.get("detail") or said.get("title")
    reason = f"Twilio answered {status}{named}" + (
        f": {in_a_sentence(str(words))}" if words else ""
    )
    passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if passing or code in _LATER:
        asked = retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC))
        return DeliveryDeferred(reason, retry_after=asked)
    if status in _CONFIGURATION_STATUS or code in _CONFIGURATION or httpx.codes.is_redirect(status):
        return DeliveryRejected(FailureKind.CONFIGURATION, reason)
    return DeliveryRejected(FailureKind.REJECTED, reason)

"""Owns the sending to any HTTP receiver, as Standard Webhooks says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

import httpx

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.excerpt import in_a_sentence
from activities.outbound import Answer, NoAnswer, exchange, retry_after, signature
from config.secrets import Secrets
from holdfast.domain.channel import WebhookChannel
from holdfast.domain.notification import FailureKind, Notification, Receipt

_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class WebhookSender:
    """Posts notifications as JSON, signed with each of the channel's secrets."""

    channel: WebhookChannel
    secrets: Secrets
    http: httpx.AsyncClient

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """See ``channel.Sender``; the receiver knows a repeat by ``webhook-id``."""
        body = _body(notification, links)
        signed = await signature(
            self.secrets, self.channel.secrets, message_id=notification.id, body=body
        )
        # Also without a secret: the id is what a receiver tells a repeat by.
        headers = {"Content-Type": "application/json", "webhook-id": notification.id} | signed
        answer = await self._answer("POST", headers, body)
        if not httpx.codes.is_success(answer.status):
            raise _failure(answer)
        return Receipt()

    async def check(self) -> None:
        """See ``channel.Sender``: whether the secrets can sign, and the receiver answers at all.

        Many receivers refuse HEAD; POST, which they know, would tell them something.
        """
        await signature(self.secrets, self.channel.secrets, message_id="check", body=b"")
        answer = await self._answer("HEAD", {})
        is_down = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_down and answer.status != HTTPStatus.NOT_IMPLEMENTED:
            raise _failure(answer)

    async def close(self) -> None:
        """Nothing to do: the client that it was given is shared."""

    async def _answer(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        try:
            return await exchange(
                self.http,
                method,
                self.channel.url,
                within=self.channel.timeout,
                headers=headers,
                body=body,
            )
        except NoAnswer as error:
            reason = f"the webhook's receiver: {error}"
            if error.lasting:
                raise DeliveryRejected(FailureKind.CONFIGURATION, reason) from error
            raise DeliveryDeferred(reason) from error


def _body(notification: Notification, links: Links) -> bytes:
    message = {
        "id": notification.id,
        "type": f"incident.{notification.kind.value}",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": notification.headline.model_dump(mode="json")
        | {
            "level": notification.level,
            "round": notification.round,
            "bundled": [each.model_dump(mode="json") for each in notification.bundled],
            "links": links.model_dump(mode="json"),
        },
    }
    return json.dumps(message).encode()


def _failure(answer: Answer) -> DeliveryRejected | DeliveryDeferred:
    said = f": {in_a_sentence(answer.excerpt)}" if answer.excerpt.strip() else ""
    reason = f"the webhook's receiver answered {answer.status}{said}"
    if answer.status in _LATER or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        asked = retry_after(answer.headers.get("Retry-After"), now=datetime.now(UTC))
        return DeliveryDeferred(reason, retry_after=asked)
    return DeliveryRejected(FailureKind.REJECTED, reason)

"""Owns the sending to any HTTP receiver, as Standard Webhooks says."""

import json
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
        try:
            answer = await exchange(
                self.http,
                "POST",
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
        _check(answer)
        return Receipt()

    async def close(self) -> None:
        """Nothing to do: the client that it was given is shared."""


def _body(notification: Notification, links: Links) -> bytes:
    message = {
        "id": notification.id,
        "type": f"incident.{notification.kind.value}",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": notification.headline.model_dump(mode="json")
        | {
            "level": notification.level,
            "round": notification.round,
            "links": links.model_dump(mode="json"),
        },
    }
    return json.dumps(message).encode()


def _check(answer: Answer) -> None:
    if httpx.codes.is_success(answer.status):
        return
    said = f": {in_a_sentence(answer.excerpt)}" if answer.excerpt.strip() else ""
    reason = f"the webhook's receiver answered {answer.status}{said}"
    if answer.status in _LATER or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        asked = retry_after(answer.headers.get("Retry-After"), now=datetime.now(UTC))
        raise DeliveryDeferred(reason, retry_after=asked)
    raise DeliveryRejected(FailureKind.REJECTED, reason)

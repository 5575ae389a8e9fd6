"""Owns a stand-in for whoever receives webhooks: it verifies Standard Webhooks signatures."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from examples.stand_ins.server import StandIn

_TAKEN = 204


@dataclass(frozen=True)
class Arrival:
    """A message as it came in.

    Attributes:
        path: Where it was sent to.
        id: Its ``webhook-id``, the same when it is sent again.
        type: Such as ``incident.page``.
    """

    path: str
    id: str
    type: str
    at: datetime
    data: dict[str, Any]

    @property
    def incident_id(self) -> str:
        """Which incident it is about."""
        return str(self.data["incident_id"])


class WebhookReceiver(StandIn):
    """Takes messages at any path.

    Args:
        secret: Signs them (``whsec_...``).

    Attributes:
        arrivals: What came.
        answered: What of that was answered; its sender may have been gone by then.
        on_arrival: Awaited with what came; gives the status that it is answered with.
    """

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.arrivals: list[Arrival] = []
        self.answered: list[Arrival] = []
        self.on_arrival: Callable[[Arrival], Awaitable[int]] | None = None
        self._webhook = Webhook(secret)

    def pages(self, incident_id: str) -> list[Arrival]:
        """The pages of one incident, in the order in which they came."""
        return [
            each
            for each in self.arrivals
            if each.type == "incident.page" and each.incident_id == incident_id
        ]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take a message."""
        if request.method == "HEAD":
            # Whoever looks whether it is there is answered as by many receivers.
            return web.Response(status=405)
        body = await request.read()
        try:
            message = self._webhook.verify(body, dict(request.headers))
        except WebhookVerificationError as error:
            self.refusals.append(f"{request.path}: {error}")
            return web.Response(status=401, text=str(error))
        arrival = Arrival(
            path=request.path,
            id=request.headers["webhook-id"],
            type=message["type"],
            at=datetime.now(UTC),
            data=message["data"],
        )
        self.arrivals.append(arrival)
        status = await self.on_arrival(arrival) if self.on_arrival else _TAKEN
        response = web.Response(status=status)
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
        self.answered.append(arrival)
        return response

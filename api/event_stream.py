"""Owns one client's event stream: what waits to be sent to it, and the sending."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE: Final = "text/event-stream"
# Whoever lets more wait, or takes nothing for so long, can't follow. It comes again, and is told
# what it missed.
_MOST_WAITING: Final = 256
_PATIENCE: Final = timedelta(seconds=15)


def event(kind: str, text: str, *, position: str | None = None) -> bytes:
    """An event as the HTML standard's event streams have it.

    Args:
        kind: The event's name.
        text: What it tells: JSON, which has no line breaks.
        position: What the client sends as Last-Event-ID when it comes again.
    """
    place = f"id: {position}\n" if position else ""
    return f"{place}event: {kind}\ndata: {text}\n\n".encode()


class EventStream:
    """The events that wait for one client; there are thousands of these, so it is small.

    Args:
        services: What the client wants to hear of; None for all.
        position: The last that it heard before, if it did.
        until: When it is to come again, on the loop's clock.
    """

    __slots__ = ("_has_ended", "_services", "_waiting", "_wake", "position", "until")

    def __init__(
        self, services: frozenset[str] | None, *, position: str | None, until: float
    ) -> None:
        self._services = services
        self._waiting: list[bytes] = []
        self._wake: asyncio.Future[None] | None = None
        self._has_ended = False
        self.position = position
        self.until = until

    @property
    def services(self) -> frozenset[str] | None:
        """What the client wants to hear of; None for all."""
        return self._services

    def wants(self, service: str) -> bool:
        """Whether the client wants to hear of a service."""
        return self._services is None or service in self._services

    def put(self, told: bytes) -> None:
        """Have an event sent; a client that can't follow is let go instead."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.clear()
            self.end()
        if not self._has_ended:
            self._waiting.append(told)
            self._awake()

    def end(self) -> None:
        """Let the client go, once it has what waits."""
        self._has_ended = True
        self._awake()

    async def take(self) -> bytes:
        """All that waits, as soon as something does; nothing at the end."""
        if not self._waiting and not self._has_ended:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken

    def _awake(self) -> None:
        if self._wake and not self._wake.done():
            self._wake.set_result(None)
        self._wake = None


class EventStreamResponse(Response):
    """Sends a client its events for as long as both want.

    Starlette's own streaming response would do, at twice the memory for each client.

    Args:
        stream: The events.
        on_end: Called when nothing more will be sent.
    """

    media_type = MEDIA_TYPE

    def __init__(self, stream: EventStream, *, on_end: Callable[[EventStream], None]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._stream = stream
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # what ASGI gives
        """Send until the stream ends or the client is gone."""
        leaving = asyncio.create_task(self._until_gone(receive), name="event stream")
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await send(start)
            while told := await self._stream.take():
                async with asyncio.timeout(_PATIENCE.total_seconds()):
                    await send({"type": "http.response.body", "body": told, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            # It takes nothing, not even an end: the server closes what is left open here.
            return
        finally:
            leaving.cancel()
            self._on_end(self._stream)

    async def _until_gone(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            # Also if it sent more than a request may have: nobody would notice that it went.
            self._stream.end()

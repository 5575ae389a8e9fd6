"""Owns what the stand-ins that speak HTTP share: a server on loopback, and the ways to fail."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from aiohttp import web

Trouble = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What a request gets in the place of the real answer."""

_STOPPED_WITHIN = 0.5


class StandIn(ABC):
    """A server on loopback that answers as a vendor does.

    Attributes:
        refusals: Why requests were refused, or why what it sent was: things gone wrong.
        troubles: Given to the next requests, one each, instead of the real answer.
        down: Given to every request while it is set.
    """

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.troubles: deque[Trouble] = deque()
        self.down: Trouble | None = None
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; port 0 takes a free one."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=_STOPPED_WITHIN)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; what came stays."""
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return await self.down(request)
        if self.troubles:
            return await self.troubles.popleft()(request)
        return await self.answer(request)

    @abstractmethod
    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take a request as the vendor does."""


def trouble(
    status: int, *, error: str | None = None, headers: Mapping[str, str] | None = None
) -> Trouble:
    """An answer that is no success.

    Args:
        status: Its status.
        error: Slack's word for it, in JSON as Slack has it; without one it is plain text.
        headers: Such as ``Retry-After``.
    """

    async def answer(_: web.Request) -> web.StreamResponse:
        if error is None:
            return web.Response(status=status, headers=headers, text="upstream is not well")
        return web.json_response({"ok": False, "error": error}, status=status, headers=headers)

    return answer


def too_many_requests(retry_after: int) -> Trouble:
    """Answer 429, and when to come again, in seconds."""
    return trouble(429, error="ratelimited", headers={"Retry-After": str(retry_after)})


async def hangs(_: web.Request) -> web.StreamResponse:
    """Give no answer for as long as the server runs."""
    await asyncio.Event().wait()
    raise AssertionError


async def drops(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    if request.transport:
        request.transport.abort()
    return web.Response()

"""Owns the local receiver of pages and actions, and the moments at which they arrive."""

import asyncio
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from aiohttp import web


class Receiver:
    """An HTTP server on loopback that says yes to everything and notes when it was asked.

    A request belongs to the error whose key (fingerprint) ends its path; the requests of
    Holdfast's webhook channel, which go to one address, name it in their body.
    """

    def __init__(self) -> None:
        self._arrivals: dict[str, asyncio.Future[float]] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/pages", self._take_page)
        app.router.add_post("/{key}", self._take)
        app.router.add_get("/health", _well)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def arrival(self, key: str, *, within: timedelta = timedelta(seconds=30)) -> float:
        """Wait for the first request of an error; the moment, in seconds since the epoch.

        Raises:
            TimeoutError: If none came.
        """
        async with asyncio.timeout(within.total_seconds()):
            return await asyncio.shield(self._arrival(key))

    def _arrival(self, key: str) -> asyncio.Future[float]:
        loop = asyncio.get_running_loop()
        return self._arrivals.setdefault(key, loop.create_future())

    def _note(self, key: str, at: float) -> None:
        arrival = self._arrival(key)
        if not arrival.done():
            arrival.set_result(at)

    async def _take(self, request: web.Request) -> web.Response:
        self._note(request.match_info["key"], time.time())
        return web.Response()

    async def _take_page(self, request: web.Request) -> web.Response:
        at = time.time()
        page = await request.json()
        self._note(page["data"]["workflow_id"].rpartition(":")[2], at)
        return web.Response()


async def _well(_: web.Request) -> web.Response:
    return web.Response()

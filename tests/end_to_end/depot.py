"""What guarded calls go to in the end-to-end tests: a small server that fails or hangs as told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web


class Mood(StrEnum):
    """How it answers."""

    WELL = "well"
    FAILS = "fails"
    HANGS = "hangs"  # until it is well


@dataclass
class Depot:
    """Keeps who called, and answers as a test wants.

    Attributes:
        callers: Who called since the list was last emptied, in the order of their coming.
    """

    url: str = ""
    callers: list[str] = field(default_factory=list)
    _mood: Mood = Mood.WELL
    _is_well: asyncio.Event = field(default_factory=asyncio.Event)

    def turn(self, mood: Mood) -> None:
        """Answer so from now on; whoever hangs is answered once it is well."""
        self._mood = mood
        if mood is Mood.WELL:
            self._is_well.set()
        else:
            self._is_well.clear()

    async def take(self, request: web.Request) -> web.Response:
        self.callers.append(request.query["caller"])
        if self._mood is Mood.HANGS:
            await self._is_well.wait()
        return web.Response(status=500 if self._mood is Mood.FAILS else 200)


@asynccontextmanager
async def opened() -> AsyncIterator[Depot]:
    """A depot with its server on a free port."""
    depot = Depot()
    app = web.Application()
    app.router.add_get("/", depot.take)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    depot.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield depot
    finally:
        depot.turn(Mood.WELL)
        await runner.cleanup()

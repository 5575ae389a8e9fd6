"""Owns the stand-in for any HTTP service: it expects exactly what a test says, in that order."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import CIMultiDictProxy

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """Answers expected requests; a request that nobody expected fails the test at its end."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self._expected: deque[tuple[str, str, Answer]] = deque()
        self._unexpected: list[str] = []
        self._over = asyncio.Event()
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def request(self) -> Seen:
        """The only request so far."""
        (only,) = self.requests
        return only

    def expect(self, what: str, *answers: Answer) -> None:
        """Expect one request for each answer.

        Args:
            what: Method and path, ``POST /restart``.
        """
        method, path = what.split()
        self._expected.extend((method, path, answer) for answer in answers)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._over.set()
        assert self._runner
        await self._runner.cleanup()

    def verify(self) -> None:
        """Fail for what came unexpected, and for what was expected and never came."""
        assert self._unexpected == []
        assert [f"{method} {path}" for method, path, _ in self._expected] == []

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        came = (request.method, request.path)
        if not self._expected or self._expected[0][:2] != came:
            self._unexpected.append(" ".join(came))
            return web.Response(status=599)
        self.requests.append(
            Seen(request.method, request.path_qs, request.headers, await request.read())
        )
        _, _, answer = self._expected.popleft()
        return await answer(request)

    async def hangs(self, _: web.Request) -> web.StreamResponse:
        """Never answers."""
        await self._over.wait()
        return web.Response()

    async def drips(self, request: web.Request) -> web.StreamResponse:
        """Answers 200 at once and then sends its body byte by byte, without end."""
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionResetError):
            while not self._over.is_set():
                await response.write(b".")
                await asyncio.sleep(0.005)
        return response


def answers(
    status: int = 200, body: str | bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        raw = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=raw, headers=headers)

    return answer


async def drops(request: web.Request) -> web.StreamResponse:
    """Closes the connection without an answer."""
    assert request.transport
    request.transport.abort()
    return web.Response()


async def eventually(condition: Callable[[], bool], *, within: float = 10) -> None:
    """Wait for a condition; the deadline fails the test."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)

"""What Holdfast looks after and pages in the end-to-end tests, as one small HTTP server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from standalone.system import System

POLICY = """
services:
  shop:
    health: {{url: "{town}/shop/health", interval: 200ms, patience: 2s}}
    actions:
      restart: {{kind: http, url: "{town}/shop/restart"}}
    strategies:
      unknown:
        - {{step: restart, attempts: 3, settle: 1s, backoff: {{initial: 200ms}}}}
    limit: {{actions: 50, within: 10m}}
# These tests look at each incident's own pages.
bundling: {{within: 0s}}
channels:
  first: {{kind: webhook, url: "{town}/pager/first"}}
  second: {{kind: webhook, url: "{town}/pager/second"}}
  third: {{kind: webhook, url: "{town}/pager/third"}}
escalation:
  policies:
    default:
      hold_page_for: 0s
      levels:
        - {{targets: [{{channel: first}}], escalate_after: {wait}}}
        - {{targets: [{{channel: second}}], escalate_after: {wait}}}
        - {{targets: [{{channel: third}}], escalate_after: {wait}}}
    patient:
      hold_page_for: 10m
      levels:
        - {{targets: [{{channel: first}}], escalate_after: {wait}}}
  rules:
    - {{policy: patient, service: [shop]}}
"""


@dataclass(frozen=True)
class Arrival:
    """A request that came in.

    Attributes:
        key: Its idempotency key.
    """

    what: str
    key: str
    at: datetime
    body: Any


@dataclass
class Town:
    """Keeps what arrived, and answers as a test wants.

    Attributes:
        well: What the shop's health check says.
        on_restart: Called while a restart is carried out.
    """

    url: str = ""
    well: bool = True
    arrivals: list[Arrival] = field(default_factory=list)
    on_restart: Callable[[], None] | None = None

    async def take(self, request: web.Request) -> web.Response:
        if request.method == "HEAD":  # whether the channel is there
            return web.Response()
        if request.path == "/shop/health":
            return web.Response(status=200 if self.well else 503)
        if request.method == "HEAD":  # whether it is there is all that a channel's check asks
            return web.Response(status=405)
        body = await request.json() if request.can_read_body else None
        key = request.headers.get("webhook-id") or request.headers["Idempotency-Key"]
        self.arrivals.append(Arrival(request.path, key, datetime.now(UTC), body))
        if request.path == "/shop/restart" and self.on_restart:
            self.on_restart()
        return web.json_response({})

    def pages(self, incident_id: str) -> list[Arrival]:
        """The pages of one incident, in the order in which they arrived."""
        return [
            each
            for each in self.arrivals
            if each.what.startswith("/pager/")
            and each.key.startswith(f"{incident_id}:page")
            and each.body["type"] == "incident.page"
        ]

    def paged(self, incident_id: str) -> list[str]:
        """Who was paged, in order."""
        return [each.what.rpartition("/")[2] for each in self.pages(incident_id)]


@asynccontextmanager
async def opened() -> AsyncIterator[Town]:
    """A town with its server on a free port."""
    town = Town()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", town.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    town.url = f"http://127.0.0.1:{port}"
    try:
        yield town
    finally:
        await runner.cleanup()


def write_policy(folder: Path, town: Town, *, wait: str) -> Path:
    """The policy file for a town; ``wait`` is what each level gives people to answer."""
    path = folder / "policy.yaml"
    path.write_text(POLICY.format(town=town.url, wait=wait))
    return path


@dataclass(frozen=True)
class Caller:
    """Talks to a running system as services and people do."""

    system: System
    http: httpx.AsyncClient

    async def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return await self.http.post(f"/api/system{path}", json=body, **options)

    async def get(self, path: str) -> Any:
        answer = await self.http.get(f"/api/system{path}")
        answer.raise_for_status()
        return answer.json()

    async def report(self, service: str, error_type: str) -> dict[str, Any]:
        """Report an error; gives its result."""
        report = {"service": service, "error_type": error_type, "message": "it broke"}
        answer = await self.post("/errors", report)
        assert answer.status_code == 202, answer.text
        result: dict[str, Any] = answer.json()["results"][0]
        assert result["accepted"], result
        return result

    async def opened(self, service: str, error_type: str) -> str:
        """Report an error; gives its incident's id, which a busy machine may not answer at once."""
        told = (await self.report(service, error_type)).get("incident_id")
        return str(told) if told else await self.found(service, error_type)

    async def found(self, service: str, error_type: str) -> str:
        """The id of an open incident, which may still be on its way into the list."""
        ids: list[str] = []

        async def listed() -> bool:
            page = await self.get(f"/errors/active?service={service}&limit=500")
            ids[:] = [each["id"] for each in page["items"] if f"{error_type}:" in each["title"]]
            return bool(ids)

        await until(listed)
        return ids[0]

    async def incident(self, incident_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.get(f"/errors/{incident_id}")
        return found

    async def events(self, incident_id: str) -> list[str]:
        page = await self.get(f"/audit?incident_id={incident_id}&limit=500")
        return [entry["event"] for entry in page["items"]]


@asynccontextmanager
async def calling(system: System) -> AsyncIterator[Caller]:
    headers = {"Authorization": f"Bearer {system.admin_key}"}
    async with httpx.AsyncClient(base_url=system.api_url, headers=headers, timeout=10) as http:
        yield Caller(system, http)


async def until(condition: Callable[[], Any], *, within: float = 30.0, what: str = "") -> None:
    """Wait for a condition with a deadline; it may be a coroutine function, and may fail to ask."""
    async with asyncio.timeout(within):
        while True:
            answer = condition()
            if asyncio.iscoroutine(answer):
                try:
                    answer = await answer
                except (httpx.HTTPError, AssertionError, KeyError):
                    answer = False
            if answer:
                return
            await asyncio.sleep(0.05)

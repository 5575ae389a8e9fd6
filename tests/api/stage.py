"""What the tests of the API share: a policy, workers that act on nothing, and a way to wait."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
from fastapi import FastAPI
from temporalio import activity

from activities.record import RecordActivities
from api.services import Services
from config.temporal import connect
from holdfast.domain.record import Record
from holdfast.domain.role import Role
from storage.presence import Presence
from storage.processes import ProcessKind
from storage.records import Records
from tests.conftest import PostgresServer
from tests.workflows.world import World, working

# Of each test's own, so that tests on one Temporal server don't meet.
SERVICE = "SERVICE"
ADMIN_KEY = "hf_the-admin-of-the-tests"
BASE_URL = "http://holdfast.test/api/system"

POLICY = """
version: 1
services:
  SERVICE:
    description: live channels
    health:
      url: http://127.0.0.1:1/{context.channel}/health
    actions:
      restart: {kind: http, url: "http://127.0.0.1:1/{context.channel}/restart"}
      restore: {kind: http, url: "http://127.0.0.1:1/{context.channel}/restore"}
    degradation:
      - {name: lean, features_off: [thumbnails]}
  plain:
    description: has no actions
categories:
  unknown: {strategy: [{step: escalate}]}
channels:
  pager: {kind: email, host: 127.0.0.1, port: 1, sender: holdfast@example.com}
escalation:
  policies:
    default:
      hold_page_for: 0s
      levels:
        - targets: [{channel: pager, to: ada@example.com}]
        - targets: [{channel: pager, to: grace@example.com}]
"""


@dataclass
class Stage(World):
    """A world whose records are written into PostgreSQL, as a worker writes them."""

    stored: RecordActivities | None = None

    @activity.defn
    async def write_record(self, record: Record) -> None:
        assert self.stored
        await self.stored.write_record(record)


@asynccontextmanager
async def staged(services: Services) -> AsyncIterator[Stage]:
    """A worker for an API's workflows, with a heartbeat like a real one."""
    stage = Stage(
        client=await connect(services.settings),
        task_queue=services.settings.task_queue,
        stored=RecordActivities(Records(services.engine)),
    )
    presence = Presence(
        services.engine,
        kind=ProcessKind.WORKER,
        version="test",
        policy_hash=lambda: services.holder.current.hash,
        hearing={},
    )
    async with working(stage, recovery=True):
        await presence.start()
        yield stage
        await presence.stop()


def client_of(app: FastAPI, key: str | None = ADMIN_KEY) -> httpx.AsyncClient:
    """A client of an application, with a key."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url=BASE_URL,
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


async def issue(services: Services, role: Role, name: str | None = None) -> str:
    """A new key with a role, which the process knows; gives its secret."""
    name = name or f"some-{role}"
    secret = f"hf_the-key-of-{name}"
    await services.issued_keys.create(name, [role], secret)
    await services.keys.refresh()
    return secret


async def eventually(condition: Callable[[], Awaitable[Any]], *, within: float = 15.0) -> Any:
    """What a condition gives once it gives something; fails after a while."""
    async with asyncio.timeout(within):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
        return found


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """PostgreSQL refuses connections."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hanging(server: PostgresServer) -> Iterator[None]:
    """PostgreSQL takes connections and says nothing, like a machine that died."""
    processes = [psutil.Process(server.get_pid())]
    processes += processes[0].children()
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()

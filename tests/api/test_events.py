"""The event stream and its document, as clients meet them: over HTTP, from a real server."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn

from api.app import create_app
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.record import Record
from holdfast.domain.role import Role
from storage.records import Records
from tests.api.conftest import opened
from tests.api.stage import client_of, eventually, issue
from tests.storage.samples import an_entry

FIELDS = {"service", "breaker", "rules", "features_off"}


@asynccontextmanager
async def served(services):
    """A server for an API's services; gives its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(services), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/system"
    finally:
        services.feed.end()
        server.should_exit = True
        await serving


@asynccontextmanager
async def listening(url, key, **headers):
    """The lines of an event stream, as they come."""
    headers = {"Authorization": f"Bearer {key}"} | headers
    async with (
        httpx.AsyncClient(headers=headers, timeout=15) as client,
        client.stream("GET", url) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield answer.aiter_lines()


async def line(lines, start):
    """The rest of the next line that starts so."""
    async for each in lines:
        if each.startswith(start):
            return each.removeprefix(start)
    raise AssertionError(f"the stream ended before {start}")


@pytest.fixture
async def key(services):
    return await issue(services, Role.REPORTER)


@pytest.fixture
async def url(services):
    await eventually(lambda: is_current(services))
    async with served(services) as url:
        yield url


async def is_current(services):
    return services.feed.is_current


async def trip(services, service):
    breaker = CircuitBreaker(
        service=service, status=BreakerStatus.OPEN, epoch=1, since=datetime.now(UTC)
    )
    await Records(services.engine).write(Record(entries=(an_entry(),), breaker=breaker))


async def test_a_client_hears_how_things_stand_and_of_each_change(services, service, url, key):
    async with listening(f"{url}/events", key) as lines:
        assert await anext(lines) == "retry: 1000"
        first = await line(lines, "id: ")
        assert await anext(lines) == "event: snapshot"
        snapshot = json.loads(await line(lines, "data: "))
        assert {each["service"] for each in snapshot["services"]} == {"plain", service}
        assert await line(lines, "event: ") == "heartbeat"
        assert await line(lines, "data: ") == '{"current":true}'
        await trip(services, service)
        assert await line(lines, "id: ") != first
        assert await anext(lines) == "event: service"
        told = json.loads(await line(lines, "data: "))
        assert told.keys() == FIELDS
        assert (told["service"], told["breaker"]["status"]) == (service, "open")
        assert told["rules"]["window"] == "PT30S"


async def test_a_client_that_comes_again_hears_only_what_it_missed(services, service, url, key):
    async with listening(f"{url}/events", key) as lines:
        position = await line(lines, "id: ")
    await trip(services, service)
    await eventually(lambda: is_known(services, service))
    async with listening(f"{url}/events", key, **{"Last-Event-ID": position}) as lines:
        assert await line(lines, "event: ") == "service"
        assert await line(lines, "event: ") == "heartbeat"


async def is_known(services, service):
    return services.feed.board.breaker(service)


async def test_a_client_that_goes_is_forgotten(services, url, key):
    async with listening(f"{url}/events", key) as lines:
        await anext(lines)
        assert len(services.feed) == 1
    await eventually(lambda: is_alone(services))


async def is_alone(services):
    return len(services.feed) == 0


async def test_a_stream_ends_for_who_wants_it_to(services, url, key):
    """In an orderly way: the client has all that was told before."""
    async with listening(f"{url}/events", key) as lines:
        await anext(lines)
        services.feed.end()
        rest = [each async for each in lines]
    assert "event: heartbeat" in rest


async def test_services_are_asked_for_by_name(services, service, url, key):
    asked = f"{url}/events?service={service}&service=nobody"
    async with listening(asked, key) as lines:
        snapshot = json.loads(await line(lines, "data: "))
    assert [each["service"] for each in snapshot["services"]] == [service]
    async with client_of(create_app(services), key) as client:
        narrow = await client.get("/features", params={"service": ["plain", "nobody"]})
        assert [each["service"] for each in narrow.json()["services"]] == ["plain"]
        wrong = await client.get("/features", params={"service": "no name"})
        assert wrong.status_code == 422


async def test_the_document_is_what_a_snapshot_tells_and_is_sent_when_it_changed(
    services, service, url, key
):
    async with listening(f"{url}/events", key) as lines:
        position = await line(lines, "id: ")
        snapshot = json.loads(await line(lines, "data: "))
    async with client_of(create_app(services), key) as client:
        first = await client.get("/features")
        assert first.json() == {"revision": position} | snapshot
        known = {"If-None-Match": first.headers["ETag"]}
        assert (await client.get("/features", headers=known)).status_code == 304
        await trip(services, service)

        async def changed():
            answer = await client.get("/features", headers=known)
            return answer if answer.status_code == 200 else None

        second = await eventually(changed)
    [told] = [each for each in second.json()["services"] if each["service"] == service]
    assert told["breaker"]["status"] == "open"
    assert second.headers["ETag"] != first.headers["ETag"]


async def test_a_reload_of_the_policy_reaches_clients(services, service, policy_file, url, key):
    """Their own rules are counted by, and decided by when out of contact."""
    async with listening(f"{url}/events", key) as lines:
        await line(lines, "event: heartbeat")
        policy = policy_file.read_text()
        rules = "    breaker: {minimum_calls: 7}\n    description: live channels\n"
        policy_file.write_text(policy.replace("    description: live channels\n", rules))
        await services.reload.reload(actor="ada")
        assert await line(lines, "event: ") == "service"
        told = json.loads(await line(lines, "data: "))
    assert (told["service"], told["rules"]["minimum_calls"]) == (service, 7)


async def test_without_postgresql_the_document_is_not_given_as_if_it_were_new(
    settings_apart, server
):
    server.stop()
    async with opened(settings_apart) as services, client_of(create_app(services)) as client:
        assert (await client.get("/features")).status_code == 503
        status = (await client.get("/status")).json()["guidance"]
        assert (status["current"], status["streams"]) == (False, 0)
        server.start()

        async def answers():
            return (await client.get("/features")).status_code == 200

        await eventually(answers)

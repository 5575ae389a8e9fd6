"""The middleware in front of real applications of Starlette and FastAPI."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient

from holdfast.errors import BreakerOpen
from holdfast.integrations.asgi import SLOW, HoldfastMiddleware

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SLOW_AFTER = timedelta(seconds=1)


class DatabaseGone(Exception):
    pass


@pytest.fixture
def app(holdfast):
    app = FastAPI()
    app.add_middleware(
        HoldfastMiddleware, holdfast=holdfast, slow_after=SLOW_AFTER, clock=holdfast.clock
    )
    return app


@pytest.fixture
def ask(app):
    """What a client gets; the transport hides what the application raises, as a server does."""

    async def ask(method, path, *, to=app, **options):
        transport = httpx.ASGITransport(to, raise_app_exceptions=False, client=("10.1.2.3", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, **options)

    return ask


def spared():
    return BreakerOpen(
        "payments", reason="9 of 9 failed", epoch=4, retry_after=timedelta(seconds=4.2)
    )


async def test_an_unhandled_error_is_reported_with_its_request(app, ask, reports):
    @app.get("/orders/{order}")
    async def show(order: str):
        raise DatabaseGone(order)

    headers = {
        "X-Request-Id": "r-1",
        "Authorization": "Bearer hidden",
        "Cookie": "session=hidden",
        "X-Api-Key": "hidden",
        "Referer": "http://shop/reset?token=hidden&page=1",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
    }
    answer = await ask("GET", "/orders/7?page=2&access_token=hidden", headers=headers)
    assert answer.status_code == 500
    [report] = reports
    assert report.error_type.endswith(".DatabaseGone")
    assert report.trace_id == TRACE
    request = report.context["request"]
    assert request["method"] == "GET"
    assert request["route"] == "/orders/{order}"
    assert request["path"] == "/orders/7"
    assert request["query"] == {"page": "2", "access_token": "[removed]"}
    assert request["client"] == "10.1.2.3"
    assert request["id"] == "r-1"
    assert request["headers"]["referer"] == "http://shop/reset?token=[removed]&page=1"
    assert "hidden" not in report.model_dump_json()


async def test_a_secret_in_the_path_is_removed(app, ask, reports):
    @app.get("/reset/{token}")
    async def reset(token: str):
        raise DatabaseGone

    await ask("GET", "/reset/hidden")
    assert reports[0].context["request"]["path"] == "/reset/[removed]"


async def test_the_error_goes_on_as_it_came(app, reports):
    """Servers log it, and test clients show it."""

    @app.get("/")
    async def fail():
        raise DatabaseGone

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        with pytest.raises(DatabaseGone):
            await client.get("/")
    assert len(reports) == 1


async def test_an_error_answer_is_reported(app, ask, reports):
    @app.get("/orders/{order}")
    async def show(order: str):
        raise HTTPException(502, "the warehouse does not answer")

    assert (await ask("GET", "/orders/7")).status_code == 502
    [report] = reports
    assert report.message == "GET /orders/{order} answered 502"
    assert report.error_type == "Http502"
    assert report.context["status"] == 502


async def test_what_the_client_did_wrong_is_no_error(app, ask, reports):
    @app.get("/")
    async def show():
        raise HTTPException(404)

    await ask("GET", "/")
    await ask("GET", "/nowhere")
    assert reports == []


async def test_a_503_that_says_when_to_come_again_is_meant_that_way(app, ask, reports):
    @app.get("/")
    async def show():
        return JSONResponse({}, 503, headers={"Retry-After": "5"})

    @app.get("/broken")
    async def broken():
        return JSONResponse({}, 503)

    await ask("GET", "/")
    assert reports == []
    await ask("GET", "/broken")
    assert len(reports) == 1


async def test_a_response_that_begins_late_is_reported_as_slow(app, ask, holdfast, reports):
    """Once for each request, the same error each time, with a severity that wakes nobody."""

    @app.get("/orders/{order}")
    async def show(order: str):
        holdfast.clock.advance(timedelta(seconds=1.5))

    await ask("GET", "/orders/7")
    [report] = reports
    assert report.message == "GET /orders/{order} took longer than 1 s"
    assert report.error_type == SLOW
    assert report.severity == "low"
    assert report.context["took"] == "1.500 s"


async def test_a_long_stream_is_not_slow(app, ask, holdfast, reports):
    @app.get("/")
    async def show():
        async def lines():
            yield "first"
            holdfast.clock.advance(timedelta(minutes=2))
            yield "last"

        return StreamingResponse(lines())

    assert (await ask("GET", "/")).text == "firstlast"
    assert reports == []


async def test_a_rejected_call_is_answered_with_when_to_come_again(app, ask, reports):
    """Its cause is known already, and is nothing for the public."""

    @app.get("/")
    async def show():
        raise spared()

    answer = await ask("GET", "/")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:holdfast:problem:breaker-open"
    assert answer.json()["instance"] == "/"
    assert "payments" not in answer.text
    assert reports == []


async def test_an_application_that_handles_rejected_calls_itself_is_left_alone(app, ask, reports):
    @app.exception_handler(BreakerOpen)
    async def handle(request, error):
        return JSONResponse({"sorry": True}, 503, headers={"Retry-After": "9"})

    @app.get("/")
    async def show():
        raise spared()

    answer = await ask("GET", "/")
    assert answer.json() == {"sorry": True}
    assert reports == []


async def test_errors_that_are_none_are_ignored(holdfast, ask, reports):
    async def fail(request):
        raise DatabaseGone

    app = Starlette(routes=[Route("/", fail)])
    app.add_middleware(HoldfastMiddleware, holdfast=holdfast, ignore=(DatabaseGone,))
    assert (await ask("GET", "/", to=app)).status_code == 500
    assert reports == []


async def test_a_mounted_application_is_told_by_its_whole_route(holdfast, ask, reports):
    async def fail(request):
        raise DatabaseGone

    inner = Starlette(routes=[Route("/orders/{order}", fail)])
    app = Starlette(routes=[Mount("/shop", app=inner)])
    app.add_middleware(HoldfastMiddleware, holdfast=holdfast)
    await ask("GET", "/shop/orders/7", to=app)
    assert reports[0].context["request"]["route"] == "/shop/orders/{order}"


async def test_an_included_router_is_told_by_its_whole_route(app, ask, reports):
    orders = APIRouter(prefix="/orders")

    @orders.get("/{order}")
    async def show(order: str):
        raise DatabaseGone

    app.include_router(orders, prefix="/v1")
    await ask("GET", "/v1/orders/7")
    assert reports[0].context["request"]["route"] == "/v1/orders/{order}"


async def test_it_works_around_an_application_of_any_kind(holdfast, ask, reports):
    """Pure ASGI, without a router and without an answer to the error."""

    async def bare(scope, receive, send):
        raise DatabaseGone

    await ask("GET", "/x", to=HoldfastMiddleware(bare, holdfast))
    assert reports[0].context["request"]["path"] == "/x"
    assert "route" not in reports[0].context["request"]


async def test_a_request_that_is_cancelled_is_no_error(holdfast, reports):
    async def wait(scope, receive, send):
        await asyncio.Event().wait()

    scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
    task = asyncio.create_task(HoldfastMiddleware(wait, holdfast)(scope, None, None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reports == []


def test_a_web_socket_that_fails_is_reported(holdfast, reports):
    async def fail(websocket):
        await websocket.accept()
        raise DatabaseGone

    app = Starlette(routes=[WebSocketRoute("/live", fail)])
    app.add_middleware(HoldfastMiddleware, holdfast=holdfast)
    with pytest.raises(DatabaseGone), TestClient(app).websocket_connect("/live") as socket:
        socket.receive_text()
    assert reports[0].context["request"]["method"] == "WEBSOCKET"


def test_an_application_that_does_not_start_is_reported(holdfast, reports):
    async def lifespan(app):
        raise DatabaseGone
        yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(HoldfastMiddleware, holdfast=holdfast)
    with pytest.raises(DatabaseGone), TestClient(app):
        pass
    assert len(reports) == 1


async def test_an_application_without_a_lifespan_is_no_error(holdfast, reports):
    """Servers ask each, and go on without where it raises."""

    async def app(scope, receive, send):
        raise RuntimeError(f"cannot serve {scope['type']}")

    with pytest.raises(RuntimeError):
        await HoldfastMiddleware(app, holdfast)({"type": "lifespan"}, None, None)
    assert reports == []


async def test_a_request_that_cannot_be_told_harms_nothing(holdfast, ask, caplog):
    """The error that the application raised goes on, not one of the telling."""

    class Odd:
        path = property(lambda self: 1 / 0)

    async def fail(scope, receive, send):
        scope["route"] = Odd()
        raise DatabaseGone

    transport = httpx.ASGITransport(HoldfastMiddleware(fail, holdfast))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        with pytest.raises(DatabaseGone):
            await client.get("/")
    assert "could not be reported" in caplog.text

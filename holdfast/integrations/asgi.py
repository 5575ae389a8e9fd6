"""Owns the ASGI middleware: what goes wrong with a request is reported (Starlette, FastAPI).

It reports and doesn't count the service's own outcomes for a breaker: those who call the service
do that, who alone see when nothing answers at all, and a call told by both sides would count twice.
"""

import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from time import monotonic
from typing import Any

from holdfast.client import Holdfast
from holdfast.client.entry import claimed
from holdfast.domain.severity import Severity
from holdfast.errors import BreakerOpen
from holdfast.integrations.asgi_scope import Scope, method_of, request_of, route_of, trace_id_of
from holdfast.integrations.reporting import harmless

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

SLOW = "SlowResponse"


@dataclass
class _Answer:
    """What has been sent of a response.

    Attributes:
        begun: Whether anything has been sent, of whatever kind.
        status: 0 while nothing has been sent.
        took: Until its beginning: a stream is not slow because it is long.
        failed: Whether it tells of an error.
    """

    send: Send
    clock: Callable[[], float]
    began: float
    begun: bool = False
    status: int = 0
    took: timedelta = timedelta()
    failed: bool = False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.took = timedelta(seconds=self.clock() - self.began)
            self.failed = _failed(message)
        await self.send(message)


class HoldfastMiddleware:
    """Reports unhandled errors, answers of 500 and above, and slow ones, with their request.

    Of each request at most one of these. Errors go on as they came. A call that the breaker of
    another service rejected is answered with 503 and ``Retry-After`` if the application leaves it
    unhandled; it is not reported, for its cause is known already.

    Args:
        app: The application, as ``add_middleware`` gives it.
        holdfast: Where to report.
        slow_after: A response that has not begun after that long is reported, with severity
            ``low``, as :data:`SLOW`; never without it.
        error_answers: Whether answers of 500 and above are reported where no error was raised.
        ignore: Errors that are none, such as ``starlette.requests.ClientDisconnect``.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        app: Application,
        holdfast: Holdfast,
        *,
        slow_after: timedelta | None = None,
        error_answers: bool = True,
        ignore: tuple[type[Exception], ...] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app = app
        self._holdfast = holdfast
        self._slow_after = slow_after
        self._error_answers = error_answers
        self._ignore = ignore
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, and look at what becomes of it."""
        answer = _Answer(send, self._clock, began=self._clock())
        try:
            await self._app(scope, receive, answer)
        except BreakerOpen as rejected:
            if scope["type"] != "http" or answer.status:
                raise
            await _answer_later(answer, rejected, path=scope["path"])
        except Exception as error:
            # An application that raises at once has no lifespan, and says so in this way.
            if not isinstance(error, self._ignore) and (
                scope["type"] != "lifespan" or answer.begun
            ):
                self._report_error(scope, error)
            raise
        else:
            self._report_answer(scope, answer)

    def _report_error(self, scope: Scope, error: Exception) -> None:
        with harmless():
            if not claimed(error, by="asgi"):
                return
            if scope["type"] == "lifespan":
                self._holdfast.report(error, context={"unhandled_in": "the application's lifespan"})
                return
            context = {"request": request_of(scope)}
            self._holdfast.report(error, context=context, trace_id=trace_id_of(scope))

    def _report_answer(self, scope: Scope, answer: _Answer) -> None:
        with harmless():
            if answer.failed and self._error_answers:
                self._report_failure(scope, answer)
            elif self._slow_after is not None and answer.took > self._slow_after:
                self._report_slowness(scope, answer, self._slow_after)

    def _report_failure(self, scope: Scope, answer: _Answer) -> None:
        self._holdfast.report(
            f"{_endpoint(scope)} answered {answer.status}",
            error_type=f"Http{answer.status}",
            context={"request": request_of(scope), "status": answer.status},
            trace_id=trace_id_of(scope),
        )

    def _report_slowness(self, scope: Scope, answer: _Answer, limit: timedelta) -> None:
        # The time it took is not in the message: all that are slow are one error.
        took = f"{answer.took.total_seconds():.3f} s"
        self._holdfast.report(
            f"{_endpoint(scope)} took longer than {limit.total_seconds():g} s",
            error_type=SLOW,
            category="timeout",
            severity=Severity.LOW,
            context={"request": request_of(scope), "took": took},
            trace_id=trace_id_of(scope),
        )


def _endpoint(scope: Scope) -> str:
    return f"{method_of(scope)} {route_of(scope) or scope['path']}"


async def _answer_later(send: Send, rejected: BreakerOpen, *, path: str) -> None:
    """Say when to come again (RFC 9457), and nothing of which service is spared and why."""
    seconds = max(1, math.ceil(rejected.retry_after.total_seconds()))
    problem = {
        "type": "urn:holdfast:problem:breaker-open",
        "title": "Breaker open",
        "status": HTTPStatus.SERVICE_UNAVAILABLE,
        "detail": f"something that this needs is being spared; try again in {seconds} s",
        "instance": path,
    }
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(seconds).encode()),
    ]
    status = HTTPStatus.SERVICE_UNAVAILABLE
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _failed(start: Message) -> bool:
    """Whether a response tells of an error; a 503 that says when to come again is meant so."""
    status = start["status"]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return not any(name.lower() == b"retry-after" for name, _ in start.get("headers", ()))
    return bool(status >= HTTPStatus.INTERNAL_SERVER_ERROR)

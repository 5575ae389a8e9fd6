"""Owns how much a request may bring: what is longer is refused before it is read to its end."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, problem_response, problem_title, problem_type
from holdfast.errors import PayloadTooLarge

KIB = 1024
BATCH_LIMIT = 1024 * KIB
LIMIT = 64 * KIB


class BodyLimit:
    """Refuses longer bodies with 413, those that are longer than they said included.

    FastAPI's own ``max_body_size`` answers in plain text where a route reads no body.

    Args:
        app: What is protected.
        limit: In bytes.
        exceptions: The limits of single paths.
    """

    def __init__(self, app: ASGIApp, *, limit: int, exceptions: Mapping[str, int]) -> None:
        self._app = app
        self._limit = limit
        self._exceptions = exceptions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body as it comes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._exceptions.get(scope["path"], self._limit)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await _refusal(scope, limit)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # The framework lets this one through to its handler, from wherever it reads.
                raise HTTPException(PayloadTooLarge.status, _detail(limit))
            return message

        await self._app(scope, counted, send)


def _refusal(scope: Scope, limit: int) -> ASGIApp:
    problem = Problem(
        type=problem_type(PayloadTooLarge),
        title=problem_title(PayloadTooLarge),
        status=PayloadTooLarge.status,
        detail=_detail(limit),
        instance=scope["path"],
    )
    return problem_response(problem, {"Connection": "close"})


def _detail(limit: int) -> str:
    return f"a request here may have {limit // KIB} KiB; send less at once"

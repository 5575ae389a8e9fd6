"""Owns how errors leave the API: as problem documents (RFC 9457), each kind from one handler."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Self
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from holdfast.errors import (
    HoldfastError,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

# Where a validation error is, before the path within it.
_PLACES = frozenset({"body", "query", "path", "header", "cookie"})
# What the framework itself raises, as the kinds of Holdfast's own errors.
_KINDS: Mapping[int, type[HoldfastError]] = {404: NotFound, 413: PayloadTooLarge}
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")


class FieldProblem(BaseModel):
    """What is wrong with one field of what was sent."""

    field: str = Field(
        description="The field, as a path with dots; empty for the whole.",
        examples=["context.channel"],
    )
    message: str = Field(description="What is wrong with it.", examples=["Field required"])


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(
        "about:blank",
        description="Names the kind of problem; programs may tell kinds apart by it.",
        examples=["urn:holdfast:problem:incident-already-resolved"],
    )
    title: str = Field(
        description="The kind of problem in words.", examples=["Incident already resolved"]
    )
    status: int = Field(description="The HTTP status.", ge=400, le=599, examples=[409])
    detail: str = Field(
        description="What was wrong this time, where, and what to do.",
        examples=["it was resolved by ada at 2026-03-01T08:15:00+00:00"],
    )
    instance: str = Field(
        description="The path that was asked for.", examples=["/api/system/errors/42/resolve"]
    )
    errors: list[FieldProblem] | None = Field(
        None, description="Each wrong field, where single fields were wrong."
    )


class InvalidFields(InvalidInput):
    """Several fields of what was sent, or of a file, cannot be taken.

    Args:
        message: What was wrong as a whole.
        errors: Each wrong field.
    """

    def __init__(self, message: str, *, errors: Sequence[FieldProblem]) -> None:
        super().__init__(message)
        self.errors = tuple(errors)

    @classmethod
    def told(cls, what: str, errors: Sequence[FieldProblem]) -> Self:
        """An error that says the first of them in its message too.

        Args:
            what: What can't be taken, as a sentence.
            errors: Each wrong field.
        """
        return cls(f"{what}: {_sentences(errors)}", errors=errors)


def handle_problems(app: FastAPI) -> None:
    """Have an app answer every error with a problem document."""
    app.exception_handler(HoldfastError)(_on_holdfast_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(Exception)(_on_unexpected)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem as a response."""
    return Response(
        problem.model_dump_json(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def problem_type(error: type[HoldfastError]) -> str:
    """The URI that names a kind of error."""
    return f"urn:holdfast:problem:{'-'.join(_words(error)).lower()}"


def problem_title(error: type[HoldfastError]) -> str:
    """A kind of error in words."""
    return " ".join(_words(error)).capitalize()


def _words(error: type[HoldfastError]) -> Sequence[str]:
    return _WORDS.sub(" ", error.__name__).split()


async def _on_holdfast_error(request: Request, error: HoldfastError) -> Response:
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a request failed", path=request.url.path, why=str(error))
    return problem_response(problem_of(error, instance=request.url.path), _headers(error))


def problem_of(error: HoldfastError, *, instance: str) -> Problem:
    """An error as a problem document shows it."""
    return Problem(
        type=problem_type(type(error)),
        title=problem_title(type(error)),
        status=error.status,
        detail=str(error),
        instance=instance,
        errors=wrong_fields(error),
    )


def wrong_fields(error: HoldfastError) -> list[FieldProblem] | None:
    """The fields that an error names, if it names any."""
    match error:
        case InvalidFields():
            return list(error.errors)
        case InvalidInput() if error.field:
            return [FieldProblem(field=error.field, message=str(error))]
        case _:
            return None


def wrong_fields_of(
    refused: Iterable[HoldfastError], *, within: str | None = None
) -> list[FieldProblem]:
    """The wrong fields of several entries, each behind its entry's place.

    Args:
        refused: Why each was refused, in their order.
        within: The field that holds the entries; None if they are the whole.
    """
    return [
        FieldProblem(field=_joined(within, str(place), each.field), message=each.message)
        for place, error in enumerate(refused)
        for each in wrong_fields(error) or [FieldProblem(field="", message=str(error))]
    ]


def _joined(*parts: str | None) -> str:
    return ".".join(each for each in parts if each)


def _headers(error: HoldfastError) -> dict[str, str]:
    match error:
        case Unavailable():
            return {"Retry-After": str(math.ceil(error.retry_after.total_seconds()))}
        case Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="holdfast"'}
        case _:
            return {}


async def _on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    wrong = field_problems(error.errors())
    count = f"{len(wrong)} fields are" if len(wrong) > 1 else "one field is"
    problem = Problem(
        type=problem_type(InvalidInput),
        title=problem_title(InvalidInput),
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=f"{count} wrong: {_sentences(wrong)}",
        instance=request.url.path,
        errors=wrong,
    )
    return problem_response(problem)


def field_problems(errors: Iterable[Mapping[str, Any]]) -> list[FieldProblem]:
    """Pydantic's errors as they are shown: the path, the message, and nothing of what was sent."""
    return [
        FieldProblem(field=_path(each), message=_message(each).removeprefix("Value error, "))
        for each in errors
    ]


def _path(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return ""
    if within := error.get("ctx", {}).get("field"):
        return str(within)
    location = error["loc"]
    inner = location[1:] if location and location[0] in _PLACES else location
    return ".".join(str(part) for part in inner)


def _message(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"this is not JSON: {error['ctx']['error']} at character {error['loc'][-1]}"
    return str(error["msg"])


def _sentences(problems: Sequence[FieldProblem]) -> str:
    """The first few."""
    return "; ".join(
        f"{each.field}: {each.message}" if each.field else each.message for each in problems[:3]
    )


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    kind = _KINDS.get(status)
    problem = Problem(
        type=problem_type(kind) if kind else "about:blank",
        title=problem_title(kind) if kind else status.phrase,
        status=status,
        detail=_told(request, status) or error.detail,
        instance=request.url.path,
    )
    return problem_response(problem, error.headers)


def _told(request: Request, status: HTTPStatus) -> str | None:
    path = request.url.path
    match status:
        case HTTPStatus.NOT_FOUND:
            return f"nothing is at {path}; /docs lists what there is"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return f"{path} does not take {request.method}; the header Allow names what it takes"
        case _:
            return None


async def _on_unexpected(request: Request, error: Exception) -> Response:
    """The last resort: nothing of the error leaves, only where the log tells of it."""
    reference = uuid4().hex[:12]
    log.error("a request failed", path=request.url.path, reference=reference, exc_info=error)
    problem = Problem(
        title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        detail=f"Holdfast itself went wrong; its log tells more under the reference {reference}",
        instance=request.url.path,
    )
    return problem_response(problem)

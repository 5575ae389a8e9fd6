"""Owns the OpenAPI document: its prose, its examples, and which role each operation needs."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from api.authentication import Require
from api.problems import MEDIA_TYPE, FieldProblem, Problem, problem_title, problem_type
from holdfast.domain.role import Role
from holdfast.errors import (
    Conflict,
    Forbidden,
    HoldfastError,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    Unavailable,
)

TITLE: Final = "Holdfast"
SUMMARY: Final = "Durable error recovery for services."
DESCRIPTION: Final = """
A service reports an error; Holdfast classifies it, recovers what failed, trips the circuit breaker
in front of it, sheds the features that the system can't carry, pages people level by level until
one answers, and puts everything back when it is over. It survives the crash of any of its own
parts, and every step is on the record.

**Keys.** Every operation but `GET /health` needs an API key, `Authorization: Bearer hf_...`, and
of it a role: `reporter` tells errors and how calls go, and hears of breakers and features; `viewer`
reads; `responder` also takes incidents; `operator` also restarts services and holds breakers;
`admin` may everything, and makes keys.

**Errors** are problem documents (RFC 9457, `application/problem+json`): `type` names the kind,
`detail` says what was wrong and what to do, `errors` names each wrong field. 503 carries
`Retry-After`.

**Times** are UTC in ISO 8601; **durations** are written as people do: `500ms`, `30s`, `1h30m`. The
policy's own, and those that only programs read, are in ISO 8601 too: `PT30S`.

**Pages.** A list that has more than a page holds gives a `cursor`; send it to get what follows.
"""

TAGS: Final = [
    {"name": "health", "description": "Whether Holdfast works, and what it is doing."},
    {"name": "incidents", "description": "Errors being recovered: many reports, one incident."},
    {"name": "escalations", "description": "Who was told of what, and who is told next."},
    {"name": "recovery", "description": "What is done about errors, by itself and by hand."},
    {
        "name": "protection",
        "description": "Circuit breakers, services that serve less, and what clients hear of both.",
    },
    {"name": "audit", "description": "Every fact: who did what, when, to what."},
    {"name": "administration", "description": "The policy file and the API keys."},
]

_EXAMPLES: Final[Mapping[int, tuple[type[HoldfastError], str]]] = {
    401: (Unauthenticated, "nobody has this API key, or it was revoked"),
    403: (Forbidden, "this needs the role operator; the key 'ada' has: viewer"),
    404: (NotFound, "there is no incident 01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"),
    409: (Conflict, "grace has had it since 2026-03-01T08:15:00+00:00"),
    413: (PayloadTooLarge, "a request here may have 64 KiB; send less at once"),
    422: (InvalidInput, "one field is wrong: limit: Input should be less than or equal to 500"),
    503: (Unavailable, "PostgreSQL cannot be reached: [Errno 111] Connection refused"),
}
_MEANINGS: Final[Mapping[int, str]] = {
    401: "No API key, or not a good one.",
    403: "The key lacks the role.",
    404: "There is no such thing.",
    409: "Its present state forbids it; the detail says why.",
    413: "The request is too long.",
    422: "Something that was sent cannot be taken; `errors` names each field.",
    503: "What is needed cannot be reached now; `Retry-After` says when to ask again.",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """The documentation of an operation's problems."""
    return {status: _problem(status) for status in statuses}


def example(value: Any, *, status: int = 200, **other_media: str) -> Responses:
    """The documentation of an operation's answer.

    Args:
        value: An example of it, as JSON has it.
        status: The answer's status.
        other_media: Examples in other media types, by name: ``text_csv``.
    """
    content: dict[str, Any] = {"application/json": {"example": value}}
    for name, text in other_media.items():
        media = name.replace("_", "/", 1).replace("_", "-")
        content[media] = {"schema": {"type": "string"}, "example": text}
    return {status: {"content": content}}


def _problem(status: int) -> dict[str, Any]:
    kind, detail = _EXAMPLES[status]
    shown = Problem(
        type=problem_type(kind),
        title=problem_title(kind),
        status=status,
        detail=detail,
        instance="/api/system/errors/active",
        errors=[FieldProblem(field="limit", message="Input should be less than or equal to 500")]
        if kind is InvalidInput
        else None,
    )
    schema = {"$ref": "#/components/schemas/Problem"}
    written = shown.model_dump(mode="json", exclude_none=True)
    return {
        "description": _MEANINGS[status],
        "content": {MEDIA_TYPE: {"schema": schema, "example": written}},
    }


EVERYWHERE: Final = problems(401, 403, 413, 422, 503)


def document(app: FastAPI) -> None:
    """Have an app's OpenAPI document say what FastAPI does not know."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            written = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            _add_problem_schemas(written)
            _restore_examples(app, written)
            _tell_roles(app, written)
            app.openapi_schema = written
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _add_problem_schemas(written: dict[str, Any]) -> None:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = written.setdefault("components", {}).setdefault("schemas", {})
    schemas |= schema.pop("$defs") | {"Problem": schema}
    # FastAPI's own idea of a 422, which nothing here answers with.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _restore_examples(app: FastAPI, written: dict[str, Any]) -> None:
    """Put examples back as they were: FastAPI takes from them whatever is null."""
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, APIRoute):
            continue
        for method in route.methods or ():
            operation = written["paths"].get(route.path, {}).get(method.lower())
            if operation is None:  # what vendors call is not in the document
                continue
            for status, response in route.responses.items():
                for media, content in response.get("content", {}).items():
                    shown = operation["responses"][str(status)]["content"][media]
                    shown["example"] = content["example"]


def _tell_roles(app: FastAPI, written: dict[str, Any]) -> None:
    for (method, path), role in needed_roles(app).items():
        if operation := written["paths"].get(path, {}).get(method.lower()):
            needs = f"Needs the role **{role}**." if role else "Needs no key."
            operation["description"] = f"{operation.get('description', '')}\n\n{needs}".strip()


def needed_roles(app: FastAPI) -> Mapping[tuple[str, str], Role | None]:
    """The role that each operation needs, by method and path; None where no key is needed."""
    return {
        (method, str(route.path)): next(_roles(route.dependant), None)
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute)
        for method in sorted(route.methods or ())
    }


def _roles(dependant: Dependant) -> Iterator[Role]:
    for each in dependant.dependencies:
        if isinstance(each.call, Require):
            yield each.call.role
        yield from _roles(each)

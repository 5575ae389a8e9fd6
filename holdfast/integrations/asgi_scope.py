"""Owns what a report tells of an ASGI request: enough to understand it, and no secret."""

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from holdfast.integrations.masking import REMOVED, is_secret, masked, without_secrets

Scope = MutableMapping[str, Any]

# W3C Trace Context: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-")


def request_of(scope: Scope) -> dict[str, Any]:
    """The request as a report's context has it.

    Ask once the application has had it: it is the router that learns which route it takes.
    """
    query = scope.get("query_string", b"").decode("latin-1")
    headers = _headers(scope)
    client = scope.get("client")
    told: dict[str, Any] = {
        "method": method_of(scope),
        "route": route_of(scope),
        "path": _path(scope),
        "query": masked(parse_qsl(query, keep_blank_values=True)),
        "headers": masked(headers),
        "client": client[0] if client else None,
        "id": dict(headers).get("x-request-id"),
    }
    return {name: value for name, value in told.items() if value}


def method_of(scope: Scope) -> str:
    """The request's method; a web socket has none but that name."""
    return str(scope.get("method", "WEBSOCKET"))


def route_of(scope: Scope) -> str | None:
    """The route's pattern (``/orders/{id}``), which is the same for all requests that it takes.

    Starlette and FastAPI leave the route in the scope. FastAPI from 0.137 on leaves that of an
    included router without its prefixes there, and the whole beside it. That of a mounted
    application knows only its own part of the path; the part before was added to the root path.
    """
    included = scope.get("fastapi", {}).get("effective_route_context")
    pattern = getattr(included or scope.get("route"), "path", None)
    if not isinstance(pattern, str):
        return None
    if "app_root_path" not in scope:
        return pattern
    mounted_at: str = scope.get("root_path", "")
    return mounted_at.removeprefix(scope["app_root_path"]) + pattern


def trace_id_of(scope: Scope) -> str | None:
    """The trace that the request belongs to, if it says so as W3C has it."""
    found = _TRACEPARENT.match(dict(_headers(scope)).get("traceparent", ""))
    return found[1] if found else None


def _headers(scope: Scope) -> list[tuple[str, str]]:
    pairs = scope.get("headers", ())
    return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs]


def _path(scope: Scope) -> str:
    path = without_secrets(scope.get("path", ""))
    for name, value in scope.get("path_params", {}).items():
        if is_secret(name):
            path = path.replace(str(value), REMOVED)
    return path

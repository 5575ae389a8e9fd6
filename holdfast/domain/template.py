"""Owns the templates of recovery actions: ``{context.channel}`` filled in from a report.

Only a report's own fields can be named. Secrets are never filled in here: the activity that
sends the action puts them in afterwards, into places where no report's text ever comes.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from pydantic import JsonValue

from holdfast.domain.rule import as_text, look_up
from holdfast.errors import InvalidInput

_PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_-]+)*)\}")


def placeholders(text: str) -> list[str]:
    """The paths that a template asks for."""
    return _PLACEHOLDER.findall(text)


def render(
    text: str, parameters: Mapping[str, JsonValue], *, escape: Callable[[str], str] = str
) -> str:
    """Fill a template in.

    Args:
        text: The template; ``{path}`` names a value, dots go into mappings.
        parameters: What can be named.
        escape: Makes a value safe for where the text goes.

    Raises:
        InvalidInput: If the parameters lack a value, or it is not plain text or a number.
    """

    def value_of(match: re.Match[str]) -> str:
        path = match.group(1)
        value = look_up(parameters, path)
        if value is None:
            raise InvalidInput(f"the report carries no {path}, which {text!r} needs", field=path)
        if isinstance(value, dict | list):
            raise InvalidInput(f"{path} is not text or a number, as {text!r} needs", field=path)
        return escape(as_text(value))

    return _PLACEHOLDER.sub(value_of, text)


def render_url(text: str, parameters: Mapping[str, JsonValue]) -> str:
    """Fill a URL in, each value percent-encoded so that it cannot leave its place.

    Raises:
        InvalidInput: As :func:`render`, and if a value would take a segment out of the path: an
            empty one, or dots, which HTTP clients resolve even when they are percent-encoded.
    """

    def encoded(part: str) -> str:
        return render(part, parameters, escape=lambda value: quote(value, safe=""))

    for segment in urlsplit(text).path.split("/"):
        if placeholders(segment) and encoded(segment) in {"", ".", ".."}:
            raise InvalidInput(
                f"{segment} of {text!r} became {encoded(segment)!r}, which is no part of a path",
                field=placeholders(segment)[0],
            )
    return encoded(text)


def check_url(text: str) -> str:
    """Refuse a URL with a host that a report chooses, braces that name nothing, or a password."""
    host = re.match(r"https?://[^/?#]*", text)
    if host and "{" in host.group():
        raise ValueError("a report cannot choose the host: put the {placeholder} after it")
    if host and "@" in host.group():
        raise ValueError("no user:password in a URL: send a header with ${SECRET} instead")
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        raise ValueError("expected {field} or {context.key} between braces, and no ${SECRET}")
    return text


def render_json(value: JsonValue, parameters: Mapping[str, JsonValue]) -> JsonValue:
    """Fill in every string of a JSON value; a string that is one placeholder keeps its type."""
    match value:
        case str():
            whole = _PLACEHOLDER.fullmatch(value)
            found = look_up(parameters, whole.group(1)) if whole else None
            return found if found is not None else render(value, parameters)
        case dict():
            return {key: render_json(inner, parameters) for key, inner in value.items()}
        case list():
            return [render_json(inner, parameters) for inner in value]
        case _:
            return value

"""Owns the sentences that say what is wrong in a policy file, made from pydantic's errors."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.document import Document, Path, Problem
from holdfast.domain.policy import Policy
from holdfast.domain.references import did_you_mean

# Where a secret may have been written by mistake: what stands there is not repeated in a message.
_UNSPOKEN = {
    "account_sid",
    "app_token",
    "auth_token",
    "calendar",
    "environment",
    "headers",
    "password",
    "routing_key",
    "secret",
    "secrets",
    "signing_secret",
    "token",
    "urls",
    "username",
    "webhook_secrets",
}

PATTERNS = {
    r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$": "a name of letters, digits, dots, dashes and underscores",
    r"^[a-z][a-z0-9_]{0,49}$": "a category: small letters, digits and underscores",
    r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$": "an exception's class, such as ValueError or "
    "httpx.ReadTimeout",
    r"^https?://": "a URL that begins with http:// or https://",
    r"^https?://[^/?#@]+([/?#]|$)": "an http:// or https:// URL without user and password",
    r"^https?://.+/$": "a URL that begins with https:// and ends with a slash",
    r"^(\$\{[A-Z_][A-Z0-9_]*\}|file:.+)$": "${ENVIRONMENT_NAME} or file:/path/to/the/secret: a "
    "secret itself does not belong in this file",
    r"^https?://[^?#@]+$": "an http:// or https:// URL without user, password and query",
    r"^\+[1-9]\d{6,14}$": "a phone number with its country code, such as +15551234567",
    r"^(\+[1-9]\d{6,14}|MG[0-9a-f]{32})$": "a phone number with its country code, such as "
    "+15551234567, or a messaging service, MG...",
    r"^[^@<>\s]+@[^@<>\s]+$|^.+<[^@<>\s]+@[^@<>\s]+>$": "an address such as "
    "holdfast@example.com or Holdfast <holdfast@example.com>",
    r"^(https?://[^@\s]+|file:.+|\$\{[A-Z_][A-Z0-9_]*\})$": "an http:// or https:// URL, "
    "file:/path/to/a/calendar, or ${ENVIRONMENT_NAME} for a URL that is secret",
}
_MOMENT = "a time with its offset, such as 2026-12-24T09:00:00+01:00"
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "date_from_datetime_parsing": "a date such as 2026-01-05",
    "date_parsing": "a date such as 2026-01-05",
    "date_type": "a date such as 2026-01-05",
    "datetime_from_date_parsing": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_type": _MOMENT,
    "dict_type": "a mapping",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "none_required": "nothing",
    "string_type": "text",
    "time_parsing": "a time of the day such as 09:00",
    "time_type": "a time of the day such as 09:00",
    "timezone_aware": _MOMENT,
    "tuple_type": "a list",
}
# What a number or a duration has to be, by the name of pydantic's limit.
_LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def problems(document: Document, invalid: ValidationError) -> Iterator[Problem]:
    """Say each of pydantic's errors in the words and at the line of the document."""
    for error in invalid.errors():
        if error["type"] == "dangling":
            for path, problem in error["ctx"]["found"]:
                yield Problem(document.line(path), path, problem)
        elif not _is_echo(error):
            path = _path(document, error)
            yield Problem(document.line(path), path, _message(error, path))


def _is_echo(error: ErrorDetails) -> bool:
    """Whether a list is only too short because entries of it, told by themselves, are wrong."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _path(document: Document, error: ErrorDetails) -> Path:
    """The error's place as its author knows it, without pydantic's names for union members."""
    path: Path = ()
    for part, is_tag, _ in _way(error["loc"]):
        if is_tag:
            continue
        if not document.holds((*path, part)) and error["type"] != "missing":
            break
        path = (*path, part)
    return (*path, "kind") if error["type"] == "union_tag_invalid" else path


def _message(error: ErrorDetails, path: Path) -> str:
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(error)
        case "missing":
            return "missing; it is required"
        case "value_error":
            return str(error["ctx"]["error"])
        case "union_tag_not_found" | "union_tag_invalid":
            return _wrong_kind(error)
        case "literal_error" | "enum":
            known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            hint = did_you_mean(str(error["input"]), known)
            return f"expected {error['ctx']['expected']}{_got(error, path)}{hint}"
        case _:
            return f"expected {_expected(error)}{_got(error, path)}{_remedy(error)}"


def _expected(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "string_pattern_mismatch":
            return PATTERNS.get(context["pattern"], f"text like {context['pattern']}")
        case "too_short":
            return f"at least {context['min_length']} of them"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            ((name, limit),) = context.items()
            return f"{_LIMITS[name]} {limit}"
        case kind:
            return _EXPECTED.get(kind) or re.sub(r"^\w+ should (be|have) ", "", error["msg"])


def _wrong_kind(error: ErrorDetails) -> str:
    known = _kinds(_annotation(error["loc"]))
    if error["type"] == "union_tag_not_found":
        return f"expected a kind: {_listed(known)}"
    given = str(error["ctx"]["tag"])
    return f"expected {_listed(known)}, got {given!r}{did_you_mean(given, known)}"


def _unknown_key(error: ErrorDetails) -> str:
    *parent, key = error["loc"]
    model = _members(_annotation(tuple(parent)))[0]
    known = list(model.model_fields) if _is_model(model) else []
    return f"no such key here{did_you_mean(str(key), known) or f'; there are {_listed(known)}'}"


def _got(error: ErrorDetails, path: Path) -> str:
    if _UNSPOKEN.intersection(path) or "@" in str(error["input"]):
        return ""
    match error["input"]:
        case None:
            shown = "nothing"
        case bool() as value:
            shown = str(value).lower()
        case Mapping():
            shown = "a mapping"
        case timedelta():
            # As it was written, it is gone: the limit has to do.
            return ""
        case list() | tuple() as entries:
            shown = "a list" if entries else "an empty list"
        case value:
            shown = repr(value) if len(repr(value)) <= 80 else f"{repr(value)[:80]}..."  # noqa: PLR2004 - a line's worth
    return f", got {shown}"


def _remedy(error: ErrorDetails) -> str:
    """What to do about the mistakes that are easily made."""
    if error["type"] == "none_required":
        return ": what this kind of channel reaches stands in its urls"
    if error["input"] is None:
        return ": indent what belongs to it, or remove the key"
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        return ": put it in quotes"
    return ""


def _listed(words: list[str]) -> str:
    *most, last = words or [""]
    return f"{', '.join(most)} or {last}" if most else last


def _way(loc: Path) -> Iterator[tuple[str | int, bool, Any]]:
    """Each part of pydantic's path: whether it is a union's tag, and the type that it leads to."""
    annotation: Any = Policy
    for part in loc:
        members = _members(annotation)
        if len(members) > 1:
            chosen = [each for each in members if part in _kinds(each)]
            annotation, is_tag = (chosen[0] if chosen else None), True
        else:
            annotation, is_tag = _inside(members[0], part), False
        yield part, is_tag, annotation


def _annotation(loc: Path) -> Any:
    *_, annotation = (Policy, *(annotation for _, _, annotation in _way(loc)))
    return annotation


def _members(annotation: Any) -> list[Any]:
    """The types of a union but None; any other type alone."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in {Union, UnionType}:
        members = [each for each in get_args(annotation) if each is not type(None)]
        return members if len(members) > 1 else _members(members[0])
    return [annotation]


def _inside(annotation: Any, part: str | int) -> Any:
    if _is_model(annotation):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    match get_origin(annotation), get_args(annotation):
        case (kind, (_, inner)) if kind is dict:
            return inner
        case (kind, (inner, *_)) if kind is tuple:
            return inner
        case _:
            return None


def _kinds(annotation: Any) -> list[str]:
    """The values of ``kind`` by which the members of a union are told apart."""
    return [
        str(kind)
        for member in _members(annotation)
        if _is_model(member) and "kind" in member.model_fields
        for kind in get_args(member.model_fields["kind"].annotation)
    ]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

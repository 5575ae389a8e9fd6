"""Owns what is a secret by its name, and how it is left out of what is told."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

REMOVED = "[removed]"
DEEPEST = 8

# Rather too many than too few: a masked "primary_key" costs less than a password on the record.
_SECRET = re.compile(
    r"auth(?!ors?$)|cookie|token|secret|passw|passphrase|pwd|credential|signature|session|csrf|xsrf"
    r"|jwt|bearer|key|^(code|sig|otp|pin)$",
    re.IGNORECASE,
)
# A name and what stands between it and its value, as URLs, headers and Python have it: a=b, a: b,
# 'a': 'b'. The name is taken whole or not at all (possessive), so that a long text takes no longer
# than it has letters.
_NAME = re.compile(r"""(?<![\w.\[\]%-])([\w.\[\]%-]++)["']?\s*[=:]\s*""")
_VALUE = re.compile(
    r"""(?:(?:bearer|basic)\s+)?(?:b?'[^']*'|b?"[^"]*"|[^\s,;&#'")}\]]+)""", re.IGNORECASE
)
_USER_IN_URL = re.compile(r"(?<=//)[^/@\s]+@")
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")


def is_secret(name: str) -> bool:
    """Whether what goes by this name is nobody's business: ``X-Api-Key``, ``user[password]``."""
    return bool(_SECRET.search(name))


def masked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names and their values, several of one name joined; a secret keeps only its name."""
    values: dict[str, str] = {}
    for name, value in pairs:
        shown = REMOVED if is_secret(name) else without_secrets(value)
        values[name] = f"{values[name]}, {shown}" if name in values else shown
    return values


def masked_values(value: Any, *, depth: int = DEEPEST) -> Any:
    """A value as it is, but for those of secret names, however deep in mappings and lists."""
    match value:
        case Mapping() if depth:
            return {
                name: REMOVED if is_secret(str(name)) else masked_values(inner, depth=depth - 1)
                for name, inner in value.items()
            }
        case list() | tuple() if depth:
            return [masked_values(inner, depth=depth - 1) for inner in value]
        case Mapping() | list() | tuple():
            return REMOVED
        case _:
            return value


def without_secrets(text: str) -> str:
    """A text without the secrets that it names, users in its URLs, and signed tokens."""
    text = _USER_IN_URL.sub(f"{REMOVED}@", text)
    return _JSON_WEB_TOKEN.sub(REMOVED, _without_named(text))


def _without_named(text: str) -> str:
    kept: list[str] = []
    at = 0
    for found in _NAME.finditer(text):
        if found.start() < at or not is_secret(unquote_plus(found[1])):
            continue
        if value := _VALUE.match(text, found.end()):
            kept += [text[at : found.end()], REMOVED]
            at = value.end()
    return "".join([*kept, text[at:]])

"""An entry: one error as the wire has it, within the limits of :class:`holdfast.domain.Report`.

What is too long is cut and what can't be stored is replaced, because a cut report is worth more
than a refused one. Plain dictionaries, not the model: validating costs more than the rest of a
report, and is the API's work anyway.
"""

import json
import math
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import PurePath
from typing import Any

from holdfast.domain.report import MAX_CONTEXT_DEPTH, MAX_REPORT_BYTES

NAME_LENGTH = 200
FINGERPRINT_LENGTH = 100
MESSAGE_LENGTH = 4000
FRAMES = 100
BASES = 30
LABELS = 50
ITEMS = 100  # our own: of each list and object in the context

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_IN_FINGERPRINTS = re.compile(r"[^!-~]")


def encode(
    error: BaseException | str,
    *,
    fingerprint: str | None,
    context: Mapping[str, Any] | None,
    labels: Mapping[str, str] | None,
    **fields: str | None,
) -> bytes:
    """Write one report as JSON, dated now; ``fields`` are those that are one short text."""
    entry = _describe(error) | {name: _text(v) for name, v in fields.items() if v is not None}
    entry["occurred_at"] = datetime.now(UTC).isoformat()
    if fingerprint:
        entry["fingerprint"] = _NOT_IN_FINGERPRINTS.sub("_", fingerprint)[:FINGERPRINT_LENGTH]
    if labels:
        pairs = islice(labels.items(), LABELS)
        entry["labels"] = {_text(name): _text(label) for name, label in pairs}
    if context:
        entry["context"] = _plain(context, MAX_CONTEXT_DEPTH)
    encoded = _dump(entry)
    if len(encoded) > MAX_REPORT_BYTES:
        entry["context"] = {"left_out": f"with its context the report had {len(encoded)} bytes"}
        encoded = _dump(entry)
    return encoded


def _describe(error: BaseException | str) -> dict[str, Any]:
    if isinstance(error, str):
        return {"error_type": "Error", "message": _text(error, MESSAGE_LENGTH) or "Error"}
    kind = type(error)
    bases = [_dotted(base) for base in kind.__mro__[1:] if issubclass(base, Exception)]
    return {
        "error_type": _dotted(kind),
        "error_bases": bases[:BASES],
        "message": _text(error, MESSAGE_LENGTH) or kind.__qualname__,
        "stack": _stack(error),
    }


def _dotted(kind: type) -> str:
    """``module.Class``, or ``Class`` alone for Python's own."""
    builtin = kind.__module__ == "builtins"
    return _text(kind.__qualname__ if builtin else f"{kind.__module__}.{kind.__qualname__}")


def _stack(error: BaseException) -> list[str]:
    """The frames, innermost last; of a deep recursion the innermost hundred."""
    frames = [
        f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"
        f" ({PurePath(frame.f_code.co_filename).name}:{line})"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return frames[-FRAMES:]


def _plain(value: Any, depth: int) -> Any:
    """The value in JSON's own types: bounded in every direction, so that a cycle ends too."""
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping() if depth:
            pairs = islice(value.items(), ITEMS)
            return {_text(name): _plain(item, depth - 1) for name, item in pairs}
        case list() | tuple() | set() | frozenset() if depth:
            return [_plain(item, depth - 1) for item in islice(value, ITEMS)]
        case _:
            return _text(value, MESSAGE_LENGTH)


def _text(value: object, length: int = NAME_LENGTH) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)[:length])


def _dump(entry: dict[str, Any]) -> bytes:
    # A lone surrogate, as an undecodable file name carries, has no UTF-8.
    return json.dumps(entry, ensure_ascii=False).encode(errors="replace")

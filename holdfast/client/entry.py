"""An entry: one error and its repeats, within the limits of :class:`holdfast.domain.Report`.

What is too long is cut and what can't be stored is replaced, because a cut report is worth more
than a refused one. Plain dictionaries, not the model: validating costs more than the rest of a
report, and is the API's work anyway.
"""

import json
import math
import re
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import PurePath
from types import CodeType
from typing import Any, TypeAlias

from holdfast.client.judgement import dotted
from holdfast.domain.report import MAX_CONTEXT_DEPTH, MAX_REPORT_BYTES, MOST_FOLDED, Report
from holdfast.domain.report import fingerprint as derive_fingerprint

NAME_LENGTH = 200
FINGERPRINT_LENGTH = 100
MESSAGE_LENGTH = 4000
FRAMES = 100
BASES = 30
LABELS = 50
ITEMS = 100  # our own: of each list and object in the context
VALUES = 10_000  # our own: of the context in all, far more than fit into a report
LONGEST_INTEGER = 10_000  # bits

_CLAIMED = "__holdfast_claimed__"

# Context, user and trace.
Circumstances: TypeAlias = tuple[Mapping[str, Any] | None, str | None, str | None]

LEFT_OUT = "[left out]"

_DEEP = (Mapping, list, tuple, set, frozenset)

_FLAT = frozenset({str, int, float, bool, type(None)})

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOT_IN_FINGERPRINTS = re.compile(r"[^!-~]")


class Entry:
    """One error and its repeats, on their way.

    Attributes:
        fields: What the first report told of the error itself.
        count: How many reports it stands for.
        first_at: When the first was made, in seconds of :func:`time.time`; ``last_at`` the latest.
        circumstances: Context, user and trace of the latest report that had any.
        pinned: Kept alive because the entry's key names it by its ``id``.
    """

    def __init__(
        self,
        fields: dict[str, Any],
        *,
        at: float,
        circumstances: Circumstances | None = None,
        pinned: object = None,
    ) -> None:
        self.fields = fields
        self.count = 1
        self.first_at = self.last_at = at
        self.circumstances = circumstances
        self.pinned = pinned

    def absorb(self, later: "Entry") -> None:
        """Add the reports of another entry of the same error."""
        self.count += later.count
        self.first_at = min(self.first_at, later.first_at)
        self.last_at = max(self.last_at, later.last_at)
        self.circumstances = later.circumstances or self.circumstances

    @cached_property
    def identity(self) -> tuple[object, ...]:
        """What entries share that may become one: their fingerprint and their classification."""
        fields = self.fields
        report = Report.model_construct(
            service=fields.get("service", ""),
            error_type=fields["error_type"],
            message=fields["message"],
            fingerprint=fields.get("fingerprint"),
            stack=tuple(fields.get("stack", ())),
        )
        labels = tuple(fields.get("labels", {}).items())
        told = fields.get("category"), fields.get("severity"), labels
        return report.service, report.error_type, derive_fingerprint(report), told


def claimed(error: BaseException, *, by: str) -> bool:
    """Whether an error is to be reported by this caller and by no other.

    An exception on its way out meets several who would: the code that catches and raises it, the
    middleware, then the log of the server. The first one has it. That one has it again when it
    meets the same object again, since some programs raise one instance over and over.

    Args:
        error: What was raised; it carries its mark with it, also into another process.
        by: ``report`` for the service itself, else the integration's name.
    """
    # Every exception has such a dictionary, also one with slots, or whose attributes are frozen.
    claimant: str = error.__dict__.setdefault(_CLAIMED, by)
    return claimant == by


def key_of(error: BaseException | str, told: tuple[object, ...]) -> tuple[object, ...]:
    """What is the same for two reports only if they are of one error, found in about 500 ns.

    The place is where the error was raised: the code of the three innermost frames, which is all
    that a fingerprint looks at. The code is named by its ``id`` because hashing it would read it
    all; whoever keeps the key must pin :func:`code_of`, so that no other code gets that ``id``.

    Args:
        error: What is reported.
        told: All else that the fingerprint or the classification depends on.
    """
    if isinstance(error, str):
        return error, told
    message = str(error)
    if len(message) > MESSAGE_LENGTH:
        message = message[:MESSAGE_LENGTH]
    inner, middle, outer = error.__traceback__, None, None
    while inner is not None and (place := inner.tb_next) is not None:
        outer = middle
        middle = inner
        inner = place
    return (
        error.__class__,
        message,
        inner and id(inner.tb_frame.f_code),
        middle and id(middle.tb_frame.f_code),
        outer and id(outer.tb_frame.f_code),
        told,
    )


def code_of(error: BaseException | str) -> list[CodeType]:
    """The code that an error came through, innermost last; not the frames, which hold its data."""
    if isinstance(error, str):
        return []
    return [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)][-3:]


def describe(
    error: BaseException | str,
    *,
    fingerprint: str | None,
    labels: Mapping[str, str] | None,
    **fields: str | None,
) -> dict[str, Any]:
    """Give what is told of an error; ``fields`` are those that are one short text."""
    entry = _describe(error) | {name: _text(v) for name, v in fields.items() if v is not None}
    if fingerprint:
        entry["fingerprint"] = _NOT_IN_FINGERPRINTS.sub("_", fingerprint)[:FINGERPRINT_LENGTH]
    if labels:
        pairs = islice(labels.items(), LABELS)
        entry["labels"] = {_text(name): _text(label) for name, label in pairs}
    return entry


def circumstances_of(
    context: Mapping[str, Any] | None, *, user: str | None, trace_id: str | None
) -> Circumstances:
    """The circumstances as they are now: what the caller does to them later must not show."""
    return _snapshot(context), user and str(user), trace_id and str(trace_id)


def _snapshot(context: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A copy of a context.

    One of texts and numbers alone needs no more than a copy, a tenth of the price.
    """
    if not context:
        return None
    copy = {**context}
    if _FLAT.issuperset(map(type, copy.values())):
        return copy
    return _plain_context(copy)


def encode(entry: Entry) -> Iterator[tuple[bytes, int]]:
    """Write an entry as JSON, with its count; in parts where one can't say so many."""
    context, user, trace_id = entry.circumstances or (None, None, None)
    fields = entry.fields | {"occurred_at": _written(entry.last_at)}
    if user is not None:
        fields["user"] = _text(user)
    if trace_id is not None:
        fields["trace_id"] = _text(trace_id)
    if context:
        fields["context"] = _plain_context(context)
    for begin in range(0, entry.count, MOST_FOLDED):
        count = min(entry.count - begin, MOST_FOLDED)
        folded = {"count": count, "first_occurred_at": _written(entry.first_at)}
        yield _bounded(fields | folded if count > 1 else fields), count


def _bounded(fields: dict[str, Any]) -> bytes:
    encoded = _dump(fields)
    if len(encoded) <= MAX_REPORT_BYTES:
        return encoded
    left_out = f"with its context the report had {len(encoded)} bytes"
    return _dump(fields | {"context": {"left_out": left_out}})


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _describe(error: BaseException | str) -> dict[str, Any]:
    if isinstance(error, str):
        return {"error_type": "Error", "message": _text(error, MESSAGE_LENGTH) or "Error"}
    kind = type(error)
    bases = [_text(dotted(base)) for base in kind.__mro__[1:] if issubclass(base, Exception)]
    return {
        "error_type": _text(dotted(kind)),
        "error_bases": bases[:BASES],
        "message": _text(error, MESSAGE_LENGTH) or kind.__qualname__,
        "stack": _stack(error),
    }


def _stack(error: BaseException) -> list[str]:
    """The frames, innermost last; of a deep recursion the innermost hundred."""
    frames = [
        f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"
        f" ({PurePath(frame.f_code.co_filename).name}:{line})"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return frames[-FRAMES:]


def _plain_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """The context in JSON's own types: bounded in every direction, so that a cycle ends too."""
    plain: dict[str, Any] = _plain(context, MAX_CONTEXT_DEPTH, iter(range(VALUES)))
    return plain


def _plain(value: Any, depth: int, budget: Iterator[int]) -> Any:
    match value:
        case None | bool():
            return value
        case int():
            # Python writes no number of more than some 4,300 digits.
            return value if value.bit_length() < LONGEST_INTEGER else hex(value)[:MESSAGE_LENGTH]
        case float() if math.isfinite(value):
            return value
        case Mapping() if depth:
            pairs = zip(islice(value.items(), ITEMS), budget, strict=False)
            return {_text(name): _plain(item, depth - 1, budget) for (name, item), _ in pairs}
        case list() | tuple() | set() | frozenset() if depth:
            items = zip(islice(value, ITEMS), budget, strict=False)
            return [_plain(item, depth - 1, budget) for item, _ in items]
        case _:
            # What is too deep not even as text, for the whole of it would have to be written.
            return _text(LEFT_OUT if isinstance(value, _DEEP) else value, MESSAGE_LENGTH)


def _text(value: object, length: int = NAME_LENGTH) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)[:length])


def _dump(entry: dict[str, Any]) -> bytes:
    # A lone surrogate, as an undecodable file name carries, has no UTF-8.
    return json.dumps(entry, ensure_ascii=False).encode(errors="replace")

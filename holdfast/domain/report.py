"""Owns the report, one error told by a service, and its fingerprint: when two are the same."""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from holdfast.domain.model import Model, Name
from holdfast.domain.severity import Severity

MAX_REPORT_BYTES = 64 * 1024
MAX_CONTEXT_DEPTH = 8
FINGERPRINT_FRAMES = 3
MOST_FOLDED = 1_000_000


def _in_the_calendar(moment: datetime) -> datetime:
    """Refuse the few hours at the ends of the calendar that UTC, and so no store, has."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time between the years 1 and 9999 in UTC") from None
    return moment


Category = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]
Moment = Annotated[AwareDatetime, AfterValidator(_in_the_calendar)]

# Control characters but tab, line feed and carriage return; PostgreSQL refuses NUL outright.
# Half of a surrogate pair is no character at all, and has no UTF-8.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Report(Model):
    """One error, as its service told it."""

    service: Name = Field(description="Who reports.", examples=["channels"])
    error_type: str = Field(
        min_length=1, max_length=200, description="The exception's class or the error's code."
    )
    message: str = Field(min_length=1, max_length=4000)
    error_bases: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        (), max_length=30, description="The exception's base classes, nearest first."
    )
    category: Category | None = None
    severity: Severity | None = None
    fingerprint: str | None = Field(
        None,
        pattern=r"^[!-~]{1,100}$",
        description="The reporter's own key for what counts as the same error.",
    )
    stack: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(
        (), max_length=100, description="Frames, the innermost last."
    )
    context: dict[str, JsonValue] = Field(
        default_factory=dict, description="What recovery actions and people need to know."
    )
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)
    user: str | None = Field(None, max_length=200)
    trace_id: str | None = Field(None, max_length=200)
    occurred_at: Moment | None = Field(None, description="When it happened, with a time zone.")

    @model_validator(mode="after")
    def _refuse_what_stores_cannot_keep(self) -> Self:
        for path, text in _texts(self.model_dump(mode="json"), path="", depth=0):
            if found := _CONTROL.search(text):
                character = f"U+{ord(found.group()):04X}"
                raise _unkeepable(path, f"holds the control character {character}; remove it")
        return self


class CountedReport(Report):
    """A report that stands for several: its client folded repeats into it."""

    count: int = Field(1, ge=1, le=MOST_FOLDED, description="How many errors it stands for.")
    first_occurred_at: Moment | None = Field(
        None, description="When the first of them happened; `occurred_at` is the last."
    )

    @property
    def sample(self) -> Report:
        """The report without its count."""
        told = {name: getattr(self, name) for name in Report.model_fields}
        return Report.model_construct(self.model_fields_set & told.keys(), **told)


def size_of(report: Report) -> int:
    """How many bytes a report has as JSON, as it was told: without what its teller left out."""
    return len(report.model_dump_json(exclude_unset=True).encode())


def _unkeepable(path: str, problem: str) -> PydanticCustomError:
    """An error that names the field within the report: pydantic itself would name the whole."""
    context = {"field": path, "problem": problem}
    return PydanticCustomError("unkeepable", "{field}: {problem}", context)


def _texts(value: JsonValue, *, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Every string in a JSON value with its path; keys count as strings too."""
    if depth > MAX_CONTEXT_DEPTH + 1:
        raise _unkeepable(path, f"is nested deeper than {MAX_CONTEXT_DEPTH} levels; flatten it")
    match value:
        case str():
            yield path, value
        case Mapping():
            for key, inner in value.items():
                yield path or "key", key
                yield from _texts(inner, path=f"{path}.{key}" if path else key, depth=depth + 1)
        case list():
            for index, inner in enumerate(value):
                yield from _texts(inner, path=f"{path}.{index}", depth=depth + 1)
        case float() if not math.isfinite(value):
            raise _unkeepable(path, f"JSON has no {value}; leave it out or send text")
        case _:
            return


# What varies between two tellings of one error, in the order in which it is masked. The idea is
# Sentry's message parameterisation; the patterns are our own.
_VARIABLE = (
    (re.compile(r'"[^"\n]{0,200}"'), "<value>"),
    # An apostrophe within a word ("can't") neither opens nor closes a quotation.
    (re.compile(r"(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w)){0,200}'(?!\w)"), "<value>"),
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"), "<uuid>"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"),
        "<time>",
    ),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]+\.[\w.]+\b"), "<email>"),
    (re.compile(r"-?\b\d+\.\d+(?:[eE][+-]?\d+)?"), "<number>"),
    # Hexadecimal or decimal is chance: one id in fifty of eight hexadecimal digits has no letter.
    (re.compile(r"-?\b0x[0-9a-fA-F]+\b"), "<number>"),
    (re.compile(r"-?\b(?=\d*[a-fA-F])(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "<number>"),
    (re.compile(r"-?\d+(?:[eE][+-]?\d+)?"), "<number>"),
    (re.compile(r"\s+"), " "),
)
# "(app.py:12)", "(app.js:10:15)", "main.go:42 +0x1d", 'File "app.py", line 12, in run'.
_LINE_NUMBER = re.compile(r"(?::\d+)+(?: \+0x[0-9a-f]+)?\)?$|\bline \d+\b")


def normalise(message: str) -> str:
    """Mask what varies in a message (ids, numbers, times, addresses, quoted values)."""
    for pattern, placeholder in _VARIABLE:
        message = pattern.sub(placeholder, message)
    return message.strip().lower()


def fingerprint(report: Report) -> str:
    """Give the stable key of a report's error.

    The reporter's own fingerprint wins. Otherwise it is a hash of service, error type, normalised
    message and the innermost frames without their line numbers, so that an edit elsewhere in a
    file does not make an old error new.

    Returns:
        The reporter's key, or 16 hexadecimal digits.
    """
    if report.fingerprint:
        return report.fingerprint
    frames = [_LINE_NUMBER.sub("", frame) for frame in report.stack[-FINGERPRINT_FRAMES:]]
    parts = [report.service, report.error_type, normalise(report.message), *frames]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


class ReportBatch(Model):
    """Reports of one fingerprint, folded: what one message to an incident carries.

    Attributes:
        id: The batch's identity, the id of its first intake row; also the update's id, so that
            telling an incident twice counts once. The batch that opens an incident names it.
        sample: The latest report in full.
        count: How many reports were folded, the sample included.
        first_at: When the first of them was taken.
        last_at: When the last of them happened.
    """

    id: str
    fingerprint: str
    sample: Report
    count: int = Field(ge=1)
    first_at: AwareDatetime
    last_at: AwareDatetime

    def folded(self, later: Self) -> Self:
        """This batch with a later one's reports added; it keeps its identity."""
        return self.model_copy(
            update={
                "sample": later.sample,
                "count": self.count + later.count,
                "first_at": min(self.first_at, later.first_at),
                "last_at": max(self.last_at, later.last_at),
            }
        )

    @property
    def workflow_id(self) -> str:
        """The workflow that all batches of this fingerprint go to."""
        return incident_workflow_id(self.sample.service, self.fingerprint)


def incident_workflow_id(service: str, key: str) -> str:
    """The id of the one open incident workflow of a service's fingerprint."""
    return f"incident:{service}:{key}"

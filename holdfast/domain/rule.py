"""Owns the rule: what it asks of a report, and whether a report has it."""

import builtins
import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from holdfast.domain.model import Model
from holdfast.domain.report import Category, Report
from holdfast.domain.severity import Severity
from holdfast.domain.status_codes import StatusCodes

# Where services put an HTTP status in a report's context.
STATUS_KEYS = ("status", "http_status", "status_code")
_HTTP_STATUS = re.compile(r"[1-5][0-9]{2}")


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Match(Model):
    """What a rule asks of a report: all that is given must hold; within a list, any.

    Attributes:
        service: Glob patterns of the service's name.
        error_type: Glob patterns of the error's type or of one of its base classes, with or
            without the module (``ConnectionError`` matches a ``ConnectionRefusedError``).
        message: A regular expression, searched for without regard to case.
        context: Glob patterns by dotted path into the context.
        labels: Glob patterns by label.
        status: HTTP statuses (``503``, ``5xx``) in the context.
    """

    service: tuple[str, ...] = ()
    error_type: tuple[str, ...] = ()
    message: Pattern | None = None
    context: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    status: StatusCodes = StatusCodes()

    def fits(self, report: Report) -> bool:
        """Whether the report has all that is asked."""
        return (
            (not self.service or _any_glob(self.service, [report.service]))
            and (not self.error_type or _any_glob(self.error_type, error_types(report)))
            and (self.message is None or _found(self.message, report.message))
            and all(_glob_at(report.context, *item) for item in self.context.items())
            and all(_glob_at(report.labels, *item) for item in self.labels.items())
            and (not self.status or self.status.include(http_status(report)))
        )


class Rule(Model):
    """A named rule: what fits it gets its category, and its severity if it gives one."""

    name: str = Field(min_length=1, max_length=100)
    match: Match
    category: Category
    severity: Severity | None = None


def error_types(report: Report) -> list[str]:
    """The names that an error goes by: its type and base classes, each also without its module."""
    names = [report.error_type, *report.error_bases]
    if not report.error_bases:
        known = getattr(builtins, report.error_type, None)
        if isinstance(known, type) and issubclass(known, BaseException):
            names += [base.__name__ for base in known.__mro__[1:]]
    return names + [name.rpartition(".")[2] for name in names if "." in name]


def http_status(report: Report) -> int | None:
    """The HTTP status in a report's context, if there is one."""
    found = (as_text(report.context.get(key)) for key in STATUS_KEYS)
    return next((int(code) for code in found if _HTTP_STATUS.fullmatch(code)), None)


def _any_glob(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _glob_at(mapping: Mapping[str, JsonValue], path: str, pattern: str) -> bool:
    found = look_up(mapping, path)
    return found is not None and fnmatchcase(as_text(found), pattern)


def as_text(value: JsonValue) -> str:
    """A JSON value as people and patterns read it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def look_up(mapping: Mapping[str, JsonValue], path: str) -> JsonValue:
    """What stands at a dotted path in nested mappings, or None."""
    value: JsonValue = dict(mapping)
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value

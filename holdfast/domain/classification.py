"""Owns classification: which category and severity a report has, and which rule decided."""

import builtins
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


class Classification(Model):
    """The decision about a report, with the reason that says which rule made it."""

    category: Category
    severity: Severity
    reason: str


def classify(
    report: Report, *, rules: Sequence[Rule], severities: Mapping[str, Severity]
) -> Classification:
    """Decide a report's category and severity.

    The policy file's rules come first, then what the reporter said itself, then the built-in
    rules; what fits none of them is ``unknown``. The severity is the rule's, else the reporter's,
    else the category's.

    Args:
        report: What was reported.
        rules: The policy file's rules, the first that fits wins.
        severities: The severity of each category, from the policy file.
    """
    category, severity, reason = _decide(report, rules)
    fallback = severities.get(category) or SEVERITIES.get(category, Severity.MEDIUM)
    return Classification(
        category=category, severity=severity or report.severity or fallback, reason=reason
    )


def _decide(report: Report, rules: Sequence[Rule]) -> tuple[str, Severity | None, str]:
    for rule in rules:
        if rule.match.fits(report):
            return rule.category, rule.severity, f"rule '{rule.name}' of the policy file"
    if report.category:
        return report.category, None, "the reporter said so"
    for rule in BUILT_IN_RULES:
        if rule.match.fits(report):
            return rule.category, rule.severity, f"built-in rule '{rule.name}'"
    return "unknown", None, "no rule fits"


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
    found = (report.context.get(key) for key in STATUS_KEYS)
    return next((int(code) for code in found if isinstance(code, int | float)), None)


def _any_glob(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _glob_at(mapping: Mapping[str, JsonValue], path: str, pattern: str) -> bool:
    found = look_up(mapping, path)
    return found is not None and fnmatchcase(str(found), pattern)


def look_up(mapping: Mapping[str, JsonValue], path: str) -> JsonValue:
    """What stands at a dotted path in nested mappings, or None."""
    value: JsonValue = dict(mapping)
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


# The built-in categories and how bad each is until a rule, a reporter or the policy file says more.
SEVERITIES: dict[str, Severity] = {
    "stream_failure": Severity.HIGH,
    "rtmp_connection": Severity.HIGH,
    "network": Severity.MEDIUM,
    "timeout": Severity.MEDIUM,
    "database": Severity.HIGH,
    "storage": Severity.HIGH,
    "external_service": Severity.MEDIUM,
    "api": Severity.MEDIUM,
    "authentication": Severity.MEDIUM,
    "authorization": Severity.LOW,
    "validation": Severity.LOW,
    "configuration": Severity.HIGH,
    "resource_exhaustion": Severity.CRITICAL,
    "dependency": Severity.MEDIUM,
    "unknown": Severity.MEDIUM,
}


def _rule(
    name: str,
    category: str,
    *,
    types: Sequence[str] = (),
    message: str | None = None,
    status: Sequence[str] = (),
) -> Rule:
    match = Match(error_type=tuple(types), message=message, status=StatusCodes(codes=tuple(status)))
    return Rule(name=name, category=category, match=match)


# The first that fits decides; the narrower subject stands before the wider one.
BUILT_IN_RULES: tuple[Rule, ...] = (
    _rule("rtmp types", "rtmp_connection", types=["*Rtmp*", "*RTMP*"]),
    _rule(
        "rtmp words",
        "rtmp_connection",
        message=r"\brtmps?\b.*(connect|refus|handshake|reset|closed)",
    ),
    _rule("stream types", "stream_failure", types=["*Stream*", "NoFrames", "*Encoder*"]),
    _rule(
        "stream words", "stream_failure", message=r"\b(stream|encoder|ffmpeg|bitrate|no frames)\b"
    ),
    _rule(
        "resource types",
        "resource_exhaustion",
        types=["MemoryError", "*OutOfMemory*", "*PoolExhausted*"],
    ),
    _rule(
        "resource words",
        "resource_exhaustion",
        message=r"out of memory|no space left|too many open files|quota exceeded|disk full",
    ),
    _rule(
        "database types",
        "database",
        types=[
            "sqlalchemy.*",
            "asyncpg.*",
            "psycopg*",
            "*DatabaseError",
            "*OperationalError",
            "*IntegrityError",
        ],
    ),
    _rule(
        "database words",
        "database",
        message=r"\b(database|deadlock|postgres\w*|mysql|sqlite|sql)\b",
    ),
    _rule(
        "timeout types",
        "timeout",
        types=["TimeoutError", "*Timeout", "*TimeoutError", "*TimeoutException"],
    ),
    _rule("timeout words", "timeout", message=r"timed?[ -]?out|deadline exceeded"),
    _rule("timeout statuses", "timeout", status=["408", "504"]),
    _rule("authentication", "authentication", types=["*AuthenticationError", "*Unauthenticated*"]),
    _rule("authentication statuses", "authentication", status=["401"]),
    _rule(
        "authentication words",
        "authentication",
        message=r"unauthori[sz]ed|invalid (credentials|token|api key)|token expired",
    ),
    _rule(
        "authorization",
        "authorization",
        types=["PermissionError", "*Forbidden*", "*PermissionDenied*"],
    ),
    _rule("authorization statuses", "authorization", status=["403"]),
    _rule("validation types", "validation", types=["*ValidationError", "ValueError", "TypeError"]),
    _rule("validation statuses", "validation", status=["400", "422"]),
    _rule(
        "configuration",
        "configuration",
        types=["*ConfigurationError", "*ConfigError", "*ImproperlyConfigured"],
    ),
    _rule(
        "configuration words",
        "configuration",
        message=r"\b(misconfigur\w+|missing (setting|environment variable|configuration))\b",
    ),
    _rule(
        "network types",
        "network",
        types=["ConnectionError", "gaierror", "*ConnectError", "*NetworkError", "*.herror"],
    ),
    _rule(
        "network words",
        "network",
        message=r"connection (refused|reset|aborted|closed)|network is unreachable"
        r"|name resolution|broken pipe",
    ),
    _rule(
        "storage",
        "storage",
        types=["FileNotFoundError", "IsADirectoryError", "*StorageError", "*S3*"],
    ),
    _rule("dependency", "dependency", types=["ImportError", "*DependencyError"]),
    _rule("external statuses", "external_service", status=["429", "502", "503"]),
    _rule("api statuses", "api", status=["4xx", "5xx"]),
    _rule("api types", "api", types=["*HTTPError", "*HTTPStatusError", "*ApiError", "*APIError"]),
)

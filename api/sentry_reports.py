"""Owns how an issue, an event or an alert of Sentry's becomes a report."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from pydantic import JsonValue

from api.fitted_report import fitted
from api.sentry_message import Event, Issue, MetricAlert, RaisedException
from holdfast.domain.intake_sources import SentrySource
from holdfast.domain.report import Report
from holdfast.errors import InvalidInput

_LABELS: Final = 50
_FRAMES: Final = 100
_NAME: Final = 200
_MESSAGE: Final = 4000
# An event names its project by a number, and by its slug only within the address of itself.
_PROJECT_IN_URL: Final = re.compile(r"/projects/[^/]+/([^/]+)/events/")


def issue_key(issue_id: str) -> str:
    """The fingerprint of an issue's incident, from whatever kind of webhook."""
    return f"sentry-{issue_id}"


def service_of_issue(issue: Issue, source: SentrySource) -> str:
    """Whose an issue is."""
    return source.services.get(issue.project.id or "") or source.service(issue.project.slug)


def service_of_event(event: Event, source: SentrySource) -> str:
    """Whose an event is.

    Raises:
        InvalidInput: If nothing names its project.
    """
    if service := source.services.get(event.project or ""):
        return service
    if found := _PROJECT_IN_URL.search(event.url):
        return source.service(found.group(1))
    raise InvalidInput(
        f"nothing names the project of the event but the number {event.project}: set "
        "intake.sentry.services in the policy file for it",
        field="project",
    )


def service_of_alert(alert: MetricAlert, source: SentrySource) -> str:
    """Whose a metric alert is: that of its projects, if they are all one's.

    Raises:
        InvalidInput: If it has no project and there is no default.
    """
    services = list(dict.fromkeys(source.service(each) for each in alert.rule.projects))
    if len(services) != 1 and source.default_service:
        return source.default_service
    if services:
        return services[0]
    raise InvalidInput(
        "the alert watches no project: set intake.sentry.default_service in the policy file",
        field="metric_alert.alert_rule.projects",
    )


def report_of_issue(issue: Issue, source: SentrySource) -> Report:
    """An issue that is new, or is back, as a report: of now, however old its last event is.

    Raises:
        ValidationError: If the report can't be taken.
    """
    return _report(
        service=service_of_issue(issue, source),
        error_type=issue.metadata.type or "Issue",
        message=issue.metadata.value or issue.title,
        severity=source.severity(issue.level),
        fingerprint=issue_key(issue.id),
        context={
            "culprit": issue.culprit,
            "issue": issue.short_id,
            "last_seen": issue.last_seen.isoformat() if issue.last_seen else None,
            "url": issue.web_url,
        },
    )


def report_of_event(event: Event, source: SentrySource, *, rule: str | None) -> Report:
    """An event as a report.

    Args:
        event: The event.
        source: How its project and level are to be understood.
        rule: The alert rule that sent it, if one did.

    Raises:
        InvalidInput: If it has no service.
        ValidationError: If the report can't be taken.
    """
    raised = event.raised
    return _report(
        service=service_of_event(event, source),
        error_type=raised.type or event.metadata.type or "Event",
        message=raised.value or event.metadata.value or event.title,
        severity=source.severity(event.level),
        fingerprint=issue_key(event.issue_id),
        stack=_stack(raised),
        labels=dict(islice(_labels(event), _LABELS)),
        user=_user(event),
        trace_id=_trace_id(event),
        occurred_at=event.datetime,
        context={
            "culprit": event.culprit,
            "environment": event.environment,
            "event_id": event.event_id,
            "platform": event.platform,
            "release": event.release,
            "rule": rule,
            "url": event.web_url,
        },
    )


def report_of_alert(alert: MetricAlert, source: SentrySource, *, level: str) -> Report:
    """A metric alert as a report.

    Args:
        alert: The alert.
        source: How its projects and levels are to be understood.
        level: ``critical`` or ``warning``: which of its thresholds was passed.

    Raises:
        InvalidInput: If it has no service.
        ValidationError: If the report can't be taken.
    """
    told = ": ".join(each for each in (alert.description_title, alert.description_text) if each)
    return _report(
        service=service_of_alert(alert, source),
        error_type=alert.rule.name or "MetricAlert",
        message=told or alert.rule.name,
        severity=source.severity(level),
        fingerprint=alert.key,
        context={"projects": list(alert.rule.projects), "url": alert.web_url},
    )


def _report(
    *, error_type: str, message: str, context: dict[str, JsonValue], **fields: Any
) -> Report:
    known: dict[str, JsonValue] = {name: each for name, each in context.items() if each}
    report = Report.model_validate(
        {
            "error_type": error_type[:_NAME],
            "message": (message or error_type)[:_MESSAGE],
            "context": known,
            **fields,
        }
    )
    return fitted(report)


def _stack(raised: RaisedException) -> tuple[str, ...]:
    frames = (raised.stacktrace.frames if raised.stacktrace else None) or ()
    return tuple(str(each) for each in frames[-_FRAMES:])


def _labels(event: Event) -> Iterator[tuple[str, str]]:
    for name, value in event.tags or ():
        if name and value is not None:
            yield name, value


def _user(event: Event) -> str | None:
    """Whoever met the error, by what they are called there; an address is nobody's name."""
    user = event.user or {}
    found = next((user[each] for each in ("id", "username", "email") if user.get(each)), None)
    return str(found)[:_NAME] if found else None


def _trace_id(event: Event) -> str | None:
    trace = (event.contexts or {}).get("trace")
    found = trace.get("trace_id") if isinstance(trace, dict) else None
    return str(found)[:_NAME] if found else None

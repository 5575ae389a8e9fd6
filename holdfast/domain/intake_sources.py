"""Owns what the policy file says of errors that other systems tell of: whose, and how bad."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from holdfast.domain.action import SecretReference
from holdfast.domain.model import Model, Name
from holdfast.domain.severity import Severity

_Value = Annotated[str, Field(min_length=1, max_length=200)]

# The words that alerting rules commonly use. "none" is Prometheus's own for what is always on.
_OF_ALERTS: Final[Mapping[str, Severity]] = {
    "critical": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "major": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "minor": Severity.MEDIUM,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
    "low": Severity.LOW,
    "none": Severity.LOW,
}
# Sentry's "error" is missing on purpose: whatever was raised has it, so that it says nothing.
_OF_LEVELS: Final[Mapping[str, Severity]] = {
    "critical": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
    "debug": Severity.LOW,
}


class AlertmanagerSource(Model):
    """How an alert of Alertmanager's becomes a report.

    Attributes:
        service_labels: The labels that name an alert's service; the first that it has counts.
        services: The service behind such a label's value, where that is not its name already.
        default_service: Whose alerts are that have none of the labels; without it they are refused.
        severity_label: The label that says how bad it is.
        severities: What its values mean, before the built-in meanings.
    """

    service_labels: tuple[_Value, ...] = Field(("service", "job"), min_length=1, max_length=20)
    services: dict[_Value, Name] = Field(default_factory=dict)
    default_service: Name | None = None
    severity_label: _Value = "severity"
    severities: dict[_Value, Severity] = Field(default_factory=dict)

    def service_label(self, labels: Mapping[str, str]) -> str | None:
        """The label that names an alert's service; None if it has none of them."""
        return next((each for each in self.service_labels if labels.get(each)), None)

    def service(self, labels: Mapping[str, str]) -> str | None:
        """The service of an alert; None if nothing names one."""
        label = self.service_label(labels)
        return self.services.get(labels[label], labels[label]) if label else self.default_service

    def severity(self, labels: Mapping[str, str]) -> Severity | None:
        """How bad an alert is; None where the classification has to decide."""
        return _meaning(labels.get(self.severity_label), self.severities, _OF_ALERTS)


class SentrySource(Model):
    """How what Sentry tells becomes a report.

    Attributes:
        secrets: Check what Sentry sends to ``/sentry/webhooks``: the client secret of each
            integration; several while one is being changed.
        services: The service behind a project's slug or id, where the slug is not its name already.
        default_service: Whose an alert is that watches several services' projects.
        severities: What Sentry's levels mean, before the built-in meanings.
    """

    secrets: tuple[SecretReference, ...] = Field((), max_length=10)
    services: dict[_Value, Name] = Field(default_factory=dict)
    default_service: Name | None = None
    severities: dict[_Value, Severity] = Field(default_factory=dict)

    def service(self, project: str) -> str:
        """The service behind a project's slug."""
        return self.services.get(project, project)

    def severity(self, level: str | None) -> Severity | None:
        """How bad a level is; None where the classification has to decide."""
        return _meaning(level, self.severities, _OF_LEVELS)


class IntakeSources(Model):
    """What is taken from other systems, and how."""

    alertmanager: AlertmanagerSource = AlertmanagerSource()
    sentry: SentrySource = SentrySource()


def _meaning(
    word: str | None, own: Mapping[str, Severity], built_in: Mapping[str, Severity]
) -> Severity | None:
    if not word:
        return None
    return own.get(word) or built_in.get(word.lower())

"""Owns what Alertmanager's webhooks say, and how an alert becomes a report.

Grafana's alerting sends the same form. It is documented at
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from pydantic import AwareDatetime, Field, JsonValue

from api.fitted_report import fitted
from holdfast.domain.intake_sources import AlertmanagerSource
from holdfast.domain.model import NAME, Model
from holdfast.domain.report import CountedReport
from holdfast.errors import InvalidInput

MOST_ALERTS: Final = 1000

_NAME = re.compile(NAME)
_LABELS = 50
_ERROR_TYPE = 200
_MESSAGE = 4000
_FINGERPRINT = 80
# Where people write what is the matter, the shortest first.
_TOLD_IN = ("summary", "message", "description", "title")


class AlertStatus(StrEnum):
    """Whether an alert is on."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Alert(Model):
    """One alert, which its labels tell from others.

    Attributes:
        fingerprint: Alertmanager's own hash of the labels; old versions send none.
    """

    status: AlertStatus
    labels: dict[str, str] = Field(min_length=1)
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: AwareDatetime | None = Field(None, alias="startsAt")
    generator_url: str = Field("", alias="generatorURL")
    fingerprint: str = ""

    @property
    def key(self) -> str:
        """The fingerprint of its incident: the same for as long as its labels are."""
        return f"alertmanager-{(self.fingerprint or _hash(self.labels))[:_FINGERPRINT]}"


class Message(Model):
    """One webhook: the alerts of a group, those included that were told before.

    Attributes:
        alerts: Each is read for itself, so that a wrong one does not keep the others out.
    """

    receiver: str = ""
    external_url: str = Field("", alias="externalURL")
    group_key: str = Field("", alias="groupKey")
    alerts: tuple[Any, ...] = Field(min_length=1, max_length=MOST_ALERTS)


def service_of(alert: Alert, source: AlertmanagerSource) -> str:
    """Whose an alert is.

    Raises:
        InvalidInput: If no label and no setting says so, or what says it is no service's name.
    """
    service = source.service(alert.labels)
    if service is None:
        wanted = " or ".join(source.service_labels)
        raise InvalidInput(
            f"the alert has no label {wanted}: add one to its rule, or set "
            "intake.alertmanager.service_labels or default_service in the policy file",
            field="labels",
        )
    if not _NAME.fullmatch(service):
        raise InvalidInput(
            f"{service!r} is no name of a service: say which one is meant, in "
            "intake.alertmanager.services in the policy file",
            field=f"labels.{source.service_label(alert.labels)}",
        )
    return service


def report_of(alert: Alert, message: Message, source: AlertmanagerSource) -> CountedReport:
    """A firing alert as a report.

    It happens now, and not when it began to fire: Alertmanager tells it again for as long as it
    does, which keeps its incident from being over because nothing was heard.

    Raises:
        InvalidInput: If it has no service.
        ValidationError: If the report can't be taken.
    """
    name = alert.labels.get("alertname") or "Alert"
    told = next((alert.annotations[each] for each in _TOLD_IN if alert.annotations.get(each)), name)
    report = CountedReport.model_validate(
        {
            "service": service_of(alert, source),
            "error_type": name[:_ERROR_TYPE],
            "message": told[:_MESSAGE],
            "severity": source.severity(alert.labels),
            "fingerprint": alert.key,
            "labels": dict(islice(sorted(alert.labels.items()), _LABELS)),
            "context": _context(alert, message),
            "first_occurred_at": alert.starts_at,
        }
    )
    return fitted(report)


def _context(alert: Alert, message: Message) -> dict[str, JsonValue]:
    annotations: dict[str, JsonValue] = {
        name: text[:_MESSAGE] for name, text in islice(alert.annotations.items(), _LABELS)
    }
    found: dict[str, JsonValue] = {
        "annotations": annotations,
        "starts_at": alert.starts_at.isoformat() if alert.starts_at else None,
        "generator_url": alert.generator_url,
        "alertmanager_url": message.external_url,
        "receiver": message.receiver,
    }
    return {name: each for name, each in found.items() if each}


def _hash(labels: Mapping[str, str]) -> str:
    written = json.dumps(labels, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:16]

"""Owns the incident: many reports of one error, what is being done about it, and how it ended."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, JsonValue

from holdfast.domain.model import Model
from holdfast.domain.notification import (
    Delivery,
    DeliveryStatus,
    Headline,
    NotificationKind,
)
from holdfast.domain.policy import Plan
from holdfast.domain.report import Report, ReportBatch
from holdfast.domain.severity import Severity
from holdfast.domain.strategy import StepKind
from holdfast.errors import Conflict, IncidentAlreadyResolved


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    TRIGGERED = "triggered"
    RECOVERING = "recovering"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """What ended an incident."""

    RECOVERED = "recovered"
    PERSON = "person"
    QUIET = "quiet"


class AttemptStatus(StrEnum):
    """How an attempt of a recovery step ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class Attempt(Model):
    """One attempt of one step, as the incident keeps it.

    Attributes:
        number: 1 for the step's first attempt; ``of`` is how many it has.
    """

    step: StepKind
    action: str
    number: int
    of: int
    status: AttemptStatus = AttemptStatus.RUNNING
    reason: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None

    def __str__(self) -> str:
        count = f" (attempt {self.number} of {self.of})" if self.of > 1 else ""
        return f"{self.action}{count}: {self.status}" + (f", {self.reason}" if self.reason else "")


class Escalating(Model):
    """The escalation as people see it.

    Attributes:
        policy: The policy's name; None when nobody will be paged, and ``reason`` says why.
        level: The last level that was paged; 0 before the first.
        held_until: The first page waits for recovery until then, at the most.
        next_level_at: When the next level's turn comes, while nobody acknowledges.
    """

    policy: str | None = None
    reason: str
    level: int = 0
    round: int = 0
    held_until: AwareDatetime | None = None
    next_level_at: AwareDatetime | None = None


class Incident(Model):
    """The incident as everybody sees it; a workflow owns it and replaces it with each change."""

    id: str
    workflow_id: str
    service: str
    known_service: bool
    fingerprint: str
    title: str
    category: str
    severity: Severity
    reason: str
    status: IncidentStatus = IncidentStatus.TRIGGERED
    report_count: int
    sample: Report
    opened_at: AwareDatetime
    first_report_at: AwareDatetime
    last_report_at: AwareDatetime
    acknowledged_at: AwareDatetime | None = None
    acknowledged_by: str | None = None
    resolved_at: AwareDatetime | None = None
    resolved_by: str | None = None
    resolution: Resolution | None = None
    note: str | None = None
    attempts: tuple[Attempt, ...] = ()
    escalation: Escalating
    deliveries: tuple[Delivery, ...] = ()

    @classmethod
    def opened(cls, batch: ReportBatch, plan: Plan, *, at: datetime) -> Self:
        """The incident that a batch of reports opens, named after the batch."""
        choice = plan.escalation
        return cls(
            id=batch.id,
            workflow_id=batch.workflow_id,
            service=batch.sample.service,
            known_service=plan.known_service,
            fingerprint=batch.fingerprint,
            title=_title(batch.sample),
            category=plan.classification.category,
            severity=plan.classification.severity,
            reason=plan.classification.reason,
            report_count=batch.count,
            sample=batch.sample,
            opened_at=at,
            first_report_at=batch.first_at,
            last_report_at=batch.last_at,
            escalation=Escalating(
                policy=choice.name if choice else None,
                reason=choice.reason if choice else "no escalation policy fits: nobody is paged",
            ),
        )

    @property
    def is_resolved(self) -> bool:
        """Whether it is over."""
        return self.status is IncidentStatus.RESOLVED

    @property
    def is_acknowledged(self) -> bool:
        """Whether a person has taken it."""
        return self.acknowledged_at is not None

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """What recovery actions may name: the latest report's fields, and the incident's own."""
        report: dict[str, JsonValue] = self.sample.model_dump(mode="json")
        return report | {
            "incident": {"id": self.id, "fingerprint": self.fingerprint, "title": self.title},
            "category": self.category,
            "severity": self.severity.value,
        }

    def with_reports(self, batch: ReportBatch) -> Self:
        """The incident with more reports of its error counted."""
        return self.model_copy(
            update={
                "report_count": self.report_count + batch.count,
                "sample": batch.sample,
                "first_report_at": min(self.first_report_at, batch.first_at),
                "last_report_at": max(self.last_report_at, batch.last_at),
            }
        )

    def acknowledged(self, by: str, *, at: datetime) -> Self:
        """The incident, taken by a person. The first who takes it has it.

        Raises:
            IncidentAlreadyResolved: If it is over.
            Conflict: If somebody has it; the message says who, since when.
        """
        self._refuse_when_resolved()
        if self.acknowledged_at:
            when = self.acknowledged_at.isoformat(timespec="seconds")
            raise Conflict(f"{self.acknowledged_by} has had it since {when}")
        return self.model_copy(
            update={
                "status": IncidentStatus.ACKNOWLEDGED,
                "acknowledged_at": at,
                "acknowledged_by": by,
                "escalation": self.escalation.model_copy(
                    update={"held_until": None, "next_level_at": None}
                ),
            }
        )

    def resolved(self, how: Resolution, *, by: str, at: datetime, note: str | None = None) -> Self:
        """The incident, over.

        Raises:
            IncidentAlreadyResolved: If it was over before.
        """
        self._refuse_when_resolved()
        return self.model_copy(
            update={
                "status": IncidentStatus.RESOLVED,
                "resolution": how,
                "resolved_at": at,
                "resolved_by": by,
                "note": note,
                "escalation": self.escalation.model_copy(
                    update={"held_until": None, "next_level_at": None}
                ),
            }
        )

    def _refuse_when_resolved(self) -> None:
        if self.resolved_at:
            when = self.resolved_at.isoformat(timespec="seconds")
            raise IncidentAlreadyResolved(f"it was resolved by {self.resolved_by} at {when}")

    def recovering(self) -> Self:
        """The incident with recovery begun; an escalated or acknowledged one keeps its status."""
        if self.status is not IncidentStatus.TRIGGERED:
            return self
        return self.model_copy(update={"status": IncidentStatus.RECOVERING})

    def escalated(self, escalation: Escalating) -> Self:
        """The incident with people paged; one that is taken or over keeps its status."""
        over = self.is_acknowledged or self.is_resolved
        status = self.status if over else IncidentStatus.ESCALATED
        return self.model_copy(update={"status": status, "escalation": escalation})

    def attempting(self, attempt: Attempt) -> Self:
        """The incident with an attempt begun, or the latest one's end noted."""
        latest = self.attempts[-1] if self.attempts else None
        same = latest is not None and latest.started_at == attempt.started_at
        same = same and latest is not None and latest.status is AttemptStatus.RUNNING
        kept = self.attempts[:-1] if same else self.attempts
        return self.model_copy(update={"attempts": (*kept, attempt)})

    def delivering(self, delivery: Delivery) -> Self:
        """The incident with a delivery queued, or its result noted."""
        ids = [each.notification_id for each in self.deliveries]
        if delivery.notification_id not in ids:
            return self.model_copy(update={"deliveries": (*self.deliveries, delivery)})
        place = ids.index(delivery.notification_id)
        changed = (*self.deliveries[:place], delivery, *self.deliveries[place + 1 :])
        return self.model_copy(update={"deliveries": changed})

    def told(self) -> tuple[Delivery, ...]:
        """One sent page for each target that was told: whom the end of it concerns."""
        pages = {
            str(each.target): each
            for each in self.deliveries
            if each.kind is NotificationKind.PAGE and each.status is DeliveryStatus.SENT
        }
        return tuple(pages.values())

    @property
    def whose(self) -> str:
        """Who has it or what ended it, as a sentence."""
        if self.resolution:
            return f"Resolved by {self.resolved_by} ({self.note or self.resolution.value})."
        if self.acknowledged_by:
            return f"{self.acknowledged_by} has it."
        return "Nobody has it yet."

    def quiet_at(self, quiet: timedelta) -> datetime:
        """When the incident will have been quiet for long enough, if no report comes."""
        return self.last_report_at + quiet

    def headline(self, outlook: str = "") -> Headline:
        """The incident as a message shows it."""
        return Headline(
            incident_id=self.id,
            workflow_id=self.workflow_id,
            service=self.service,
            category=self.category,
            severity=self.severity,
            status=self.status.value,
            title=self.title,
            report_count=self.report_count,
            opened_at=self.opened_at,
            reason=self.reason,
            tried=tuple(str(attempt) for attempt in self.attempts[-10:]),
            outlook=outlook,
        )


def _title(report: Report) -> str:
    first = next(iter(report.message.strip().splitlines()), "")
    return f"{report.error_type}: {first[:200]}"

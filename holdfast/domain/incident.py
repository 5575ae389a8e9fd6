"""Owns the incident: many reports of one error, what is being done about it, and how it ended."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, JsonValue

from holdfast.domain.attempt import Attempt, AttemptStatus
from holdfast.domain.custody import Actor, Custody, Escalating, Remark
from holdfast.domain.incident_status import IncidentStatus, Resolution
from holdfast.domain.model import Model
from holdfast.domain.notification import (
    Delivery,
    Headline,
    NotificationKind,
)
from holdfast.domain.policy import Plan
from holdfast.domain.report import Report, ReportBatch
from holdfast.domain.severity import Severity
from holdfast.errors import Conflict, IncidentAlreadyResolved

_KEPT_REMARKS = 100


class Incident(Model):
    """The incident as everybody sees it; a workflow owns it and replaces it with each change.

    Attributes:
        acknowledged_at: When whoever has it took it; None while nobody has.
        note: What was said at its end.
        remarks: What people noted on the way.
    """

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
    custody: Custody = Custody()
    remarks: tuple[Remark, ...] = ()
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
    def is_snoozed(self) -> bool:
        """Whether somebody wants it left alone for a while."""
        return self.custody.snoozed_until is not None

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

    def acknowledged(
        self,
        by: Actor,
        *,
        at: datetime,
        timeout: timedelta = timedelta(0),
        remind_before: timedelta = timedelta(0),
    ) -> Self:
        """The incident, taken by a person. The first who takes it has it.

        Args:
            by: Who.
            at: When.
            timeout: How long an acknowledgement is worth; nothing is for good.
            remind_before: How long before its end they are reminded.

        Raises:
            IncidentAlreadyResolved: If it is over.
            Conflict: If somebody has it; the message says who, since when.
        """
        self._refuse_when_resolved()
        if self.acknowledged_at:
            when = self.acknowledged_at.isoformat(timespec="seconds")
            raise Conflict(f"{self.acknowledged_by} has had it since {when}")
        custody = self.custody.taken(by, at=at, timeout=timeout, remind_before=remind_before)
        return self._with(
            status=IncidentStatus.ACKNOWLEDGED,
            acknowledged_at=at,
            acknowledged_by=by.name,
            custody=custody,
            escalation=self.escalation.over(),
        )

    def unacknowledged(self) -> Self:
        """The incident with nobody who has it, and no snooze: escalation goes on.

        Raises:
            IncidentAlreadyResolved: If it is over.
            Conflict: If nobody has it and it is not snoozed.
        """
        self._refuse_when_resolved()
        if not self.is_acknowledged and not self.is_snoozed:
            raise Conflict("nobody has acknowledged it")
        escalated = self.escalation.level > 0
        return self._with(
            status=IncidentStatus.ESCALATED if escalated else IncidentStatus.TRIGGERED,
            acknowledged_at=None,
            acknowledged_by=None,
            custody=self.custody.given_up(),
        )

    def snoozed(self, by: Actor, *, until: datetime, at: datetime) -> Self:
        """The incident, left alone until a time; whoever has it keeps it until then.

        Raises:
            IncidentAlreadyResolved: If it is over.
            Conflict: If the time has passed.
        """
        self._refuse_when_resolved()
        if until <= at:
            raise Conflict(f"{until.isoformat(timespec='seconds')} has passed already")
        times = {"snoozed_until": until, "remind_at": None, "ends_at": None}
        custody = self.custody.model_copy(update=times | {"snoozed_by": by.name})
        return self._with(custody=custody, escalation=self.escalation.over())

    def reassigned(self, to: str) -> Self:
        """The incident, handed to somebody who has yet to acknowledge it.

        Raises:
            IncidentAlreadyResolved: If it is over.
        """
        self._refuse_when_resolved()
        given_up = self.custody.given_up().model_copy(update={"assigned_to": to})
        return self._with(
            status=IncidentStatus.ESCALATED,
            acknowledged_at=None,
            acknowledged_by=None,
            custody=given_up,
        )

    def remarked(self, remark: Remark) -> Self:
        """The incident with a note more; the last hundred are kept here, all in the audit log."""
        return self._with(remarks=(*self.remarks, remark)[-_KEPT_REMARKS:])

    def linked(self, link: str) -> Self:
        """The incident with a one-time link used up.

        Raises:
            Conflict: If it was used before.
        """
        if link in self.custody.used_links:
            raise Conflict("this link was used already; open the incident to act on it again")
        used = (*self.custody.used_links, link)
        return self._with(custody=self.custody.model_copy(update={"used_links": used}))

    def resolved(self, how: Resolution, *, by: str, at: datetime, note: str | None = None) -> Self:
        """The incident, over.

        Raises:
            IncidentAlreadyResolved: If it was over before.
        """
        self._refuse_when_resolved()
        return self._with(
            status=IncidentStatus.RESOLVED,
            resolution=how,
            resolved_at=at,
            resolved_by=by,
            note=note,
            escalation=self.escalation.over(),
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

    def delivery(self, notification_id: str) -> Delivery | None:
        """What became of a notification."""
        found = (each for each in self.deliveries if each.notification_id == notification_id)
        return next(found, None)

    def told(self) -> tuple[Delivery, ...]:
        """One page that arrived for each contact that was told: whom the end of it concerns."""
        pages = {
            str(each.contact or each.target): each
            for each in self.deliveries
            if each.kind is NotificationKind.PAGE and each.status.has_arrived
        }
        return tuple(pages.values())

    @property
    def whose(self) -> str:
        """Who has it or what ended it, as a sentence."""
        if self.resolution:
            return f"Resolved by {self.resolved_by} ({self.note or self.resolution.value})."
        if self.custody.snoozed_until:
            until = f"{self.custody.snoozed_until:%H:%M} UTC"
            return f"Snoozed until {until} by {self.custody.snoozed_by}."
        if self.acknowledged_by:
            return f"{self.acknowledged_by} has it."
        return "Nobody has it yet."

    def quiet_at(self, quiet: timedelta) -> datetime:
        """When the incident will have been quiet for long enough, if no report comes."""
        return self.last_report_at + quiet

    def headline(self, outlook: str = "", *, unreached: tuple[str, ...] = ()) -> Headline:
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
            holder=self.acknowledged_by,
            unreached=unreached,
        )

    def _with(self, **changes: object) -> Self:
        return self.model_copy(update=changes)


def _title(report: Report) -> str:
    first = next(iter(report.message.strip().splitlines()), "")
    return f"{report.error_type}: {first[:200]}"

"""Owns the audit entry: one fact of who did what, when, to what."""

from enum import StrEnum

from pydantic import AwareDatetime, Field, JsonValue

from holdfast.domain.model import Model
from holdfast.domain.severity import Severity

SYSTEM = "holdfast"


class AuditEvent(StrEnum):
    """Every kind of fact that is kept; the part before the dot is what it is about."""

    INCIDENT_OPENED = "incident.opened"
    INCIDENT_REPORTED = "incident.reported"
    INCIDENT_ACKNOWLEDGED = "incident.acknowledged"
    INCIDENT_UNACKNOWLEDGED = "incident.unacknowledged"
    INCIDENT_SNOOZED = "incident.snoozed"
    INCIDENT_REASSIGNED = "incident.reassigned"
    INCIDENT_NOTED = "incident.noted"
    INCIDENT_RAISED = "incident.raised"
    INCIDENT_RESOLVED = "incident.resolved"
    STEP_STARTED = "step.started"
    STEP_SUCCEEDED = "step.succeeded"
    STEP_FAILED = "step.failed"
    STEP_SKIPPED = "step.skipped"
    RECOVERY_EXHAUSTED = "recovery.exhausted"
    RECOVERY_REQUESTED = "recovery.requested"
    RECOVERY_REFUSED = "recovery.refused"
    RECOVERY_STARTED = "recovery.started"
    RECOVERY_FINISHED = "recovery.finished"
    ESCALATION_HELD = "escalation.held"
    ESCALATION_SWITCHED = "escalation.switched"
    ESCALATION_HURRIED = "escalation.hurried"
    ESCALATION_RESUMED = "escalation.resumed"
    ESCALATION_LEVEL_PAGED = "escalation.level_paged"
    ESCALATION_ENDED = "escalation.ended"
    ESCALATION_IMPOSSIBLE = "escalation.impossible"
    NOTIFICATION_HELD = "notification.held"
    NOTIFICATION_BUNDLED = "notification.bundled"
    NOTIFICATION_SENT = "notification.sent"
    NOTIFICATION_DELIVERED = "notification.delivered"
    NOTIFICATION_CANCELLED = "notification.cancelled"
    NOTIFICATION_FAILED = "notification.failed"
    BREAKER_CHANGED = "breaker.changed"
    DEGRADATION_CHANGED = "degradation.changed"
    SILENCE_CREATED = "silence.created"
    SILENCE_ENDED = "silence.ended"
    CHANNEL_FAILED = "channel.failed"
    CHANNEL_RECOVERED = "channel.recovered"
    CONFIG_RELOADED = "config.reloaded"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"


# The steps of an incident that its followers see in a message's thread. What one message's own
# delivery comes to is not among them: the thread would tell of itself.
FOLLOWED = frozenset(
    {
        AuditEvent.INCIDENT_ACKNOWLEDGED,
        AuditEvent.INCIDENT_UNACKNOWLEDGED,
        AuditEvent.INCIDENT_SNOOZED,
        AuditEvent.INCIDENT_REASSIGNED,
        AuditEvent.INCIDENT_NOTED,
        AuditEvent.INCIDENT_RAISED,
        AuditEvent.INCIDENT_RESOLVED,
        AuditEvent.STEP_SUCCEEDED,
        AuditEvent.STEP_FAILED,
        AuditEvent.STEP_SKIPPED,
        AuditEvent.RECOVERY_EXHAUSTED,
        AuditEvent.ESCALATION_HELD,
        AuditEvent.ESCALATION_SWITCHED,
        AuditEvent.ESCALATION_HURRIED,
        AuditEvent.ESCALATION_RESUMED,
        AuditEvent.ESCALATION_LEVEL_PAGED,
        AuditEvent.ESCALATION_ENDED,
        AuditEvent.NOTIFICATION_FAILED,
    }
)


class AuditEntry(Model):
    """One fact, written once.

    Attributes:
        sequence: Its place among the facts of its workflow run; with both it is the fact's key.
        actor: Who did it: a person's name or key, or ``holdfast`` itself.
        summary: The fact as a sentence for people.
    """

    workflow_id: str
    run_id: str
    sequence: int = Field(ge=1)
    at: AwareDatetime
    event: AuditEvent
    service: str | None = None
    incident_id: str | None = None
    category: str | None = None
    severity: Severity | None = None
    actor: str = SYSTEM
    summary: str
    detail: dict[str, JsonValue] = Field(default_factory=dict)

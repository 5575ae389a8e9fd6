"""Owns the notification, what one target is told about an incident, and how its delivery went."""

from enum import StrEnum

from pydantic import AwareDatetime

from holdfast.domain.escalation import Target
from holdfast.domain.model import Model
from holdfast.domain.severity import Severity


class NotificationKind(StrEnum):
    """Why a target is told."""

    PAGE = "page"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Headline(Model):
    """An incident as a message shows it.

    Attributes:
        tried: What recovery did so far, one sentence a step.
        outlook: What happens next, as a sentence.
    """

    incident_id: str
    workflow_id: str
    service: str
    category: str
    severity: Severity
    status: str
    title: str
    report_count: int
    opened_at: AwareDatetime
    reason: str
    tried: tuple[str, ...] = ()
    outlook: str = ""


class Notification(Model):
    """One message to one target.

    Attributes:
        id: Unique, and the idempotency key that the receiver is sent; each retry carries it.
        level: The escalation level that pages, 1 for the first.
        reply_to: The reference of the page that this one follows up, if the channel gave one.
    """

    id: str
    kind: NotificationKind
    target: Target
    level: int
    round: int
    headline: Headline
    reply_to: str | None = None


class FailureKind(StrEnum):
    """Why a delivery failed for good."""

    REJECTED = "rejected"
    CONFIGURATION = "configuration"
    EXPIRED = "expired"


class Receipt(Model):
    """What a channel gives back for a message that it took.

    Attributes:
        reference: The channel's own name for the message, for replies and edits.
    """

    reference: str | None = None


class DeliveryStatus(StrEnum):
    """How far a notification has come."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Delivery(Model):
    """A notification's way to its target, as the incident keeps it."""

    notification_id: str
    kind: NotificationKind
    target: Target
    level: int
    round: int
    status: DeliveryStatus = DeliveryStatus.SENDING
    queued_at: AwareDatetime
    finished_at: AwareDatetime | None = None
    failure: FailureKind | None = None
    reason: str | None = None
    reference: str | None = None

"""Owns the notification, what one target is told about an incident, and how its delivery went."""

from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from pydantic import AwareDatetime

from holdfast.domain.model import Model
from holdfast.domain.person import Contact
from holdfast.domain.severity import Severity
from holdfast.domain.target import Target
from holdfast.domain.throttle import BundledIncident


class NotificationKind(StrEnum):
    """Why a target is told."""

    PAGE = "page"
    REMINDER = "reminder"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    RESOLVED = "resolved"
    UPDATE = "update"

    @property
    def words(self) -> str:
        """It as the beginning of a sentence."""
        match self:
            case NotificationKind.PAGE:
                return "the page"
            case NotificationKind.REMINDER:
                return "the reminder"
            case NotificationKind.UPDATE:
                return "the update of the message"
            case NotificationKind.ACKNOWLEDGED | NotificationKind.RESOLVED:
                return f"word that it is {self.value}"
            case NotificationKind.UNACKNOWLEDGED:
                return "word that nobody has it any more"
            case _:
                assert_never(self)


class Headline(Model):
    """An incident as a message shows it.

    Attributes:
        tried: What recovery did so far, one sentence a step.
        outlook: What happens next, as a sentence.
        holder: Who has it; None while nobody has.
        unreached: Whom an earlier level was meant to reach and did not, one sentence each.
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
    holder: str | None = None
    unreached: tuple[str, ...] = ()


class TimelineLine(Model):
    """One step of an incident's way, as a thread shows it."""

    at: AwareDatetime
    text: str


class Notification(Model):
    """One message to one contact.

    Attributes:
        id: Unique, and the idempotency key that the receiver is sent; each retry carries it.
        target: Whom the policy meant.
        contact: Where it goes, when the target is not an address itself.
        person: Whose contact that is, by their key in the policy file.
        level: The escalation level that pages, 1 for the first.
        reply_to: The reference of the page that this one follows up, if the channel gave one.
        bundled: The other incidents that this page speaks for.
        lines: For an update: what is new in the incident's timeline.
    """

    id: str
    kind: NotificationKind
    target: Target
    contact: Contact | None = None
    person: str | None = None
    level: int
    round: int
    headline: Headline
    reply_to: str | None = None
    bundled: tuple[BundledIncident, ...] = ()
    lines: tuple[TimelineLine, ...] = ()

    @property
    def address(self) -> Contact:
        """Where it goes.

        Raises:
            ValueError: If it has neither a contact nor a target that is one.
        """
        found = self.contact or self.target.contact
        if found is None:
            raise ValueError(f"the notification {self.id} has no address")
        return found


class FailureKind(StrEnum):
    """Why a delivery failed for good.

    ``rejected``: the channel does not take this message. ``configuration``: a token, an address or
    a setting is wrong. ``expired``: it could not be sent in the time it was worth. ``undelivered``:
    it was taken, and then did not arrive. ``nobody``: there is nobody to send it to.
    """

    REJECTED = "rejected"
    CONFIGURATION = "configuration"
    EXPIRED = "expired"
    UNDELIVERED = "undelivered"
    NOBODY = "nobody"


class DeliveryAttempt(Model):
    """One try to hand a message to its channel.

    Attributes:
        problem: What went wrong; None for the one that went through.
    """

    at: AwareDatetime
    problem: str | None = None


class Receipt(Model):
    """What a channel gives back for a message that it took.

    Attributes:
        reference: The channel's own name for the message, for replies and edits.
        attempts: Every try, the successful one last.
    """

    reference: str | None = None
    attempts: tuple[DeliveryAttempt, ...] = ()


class DeliveryStatus(StrEnum):
    """How far a notification has come.

    ``queued``: on its way to the channel. ``held``: it waits, and ``reason`` says for what.
    ``sent``: the channel took it. ``delivered``: it arrived. ``bundled``: another message told it.
    """

    SENDING = "sending"  # what the first version called queued; its open incidents hold it
    QUEUED = "queued"
    HELD = "held"
    SENT = "sent"
    DELIVERED = "delivered"
    BUNDLED = "bundled"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_arrived(self) -> bool:
        """Whether the target was told, as far as anybody knows."""
        return self in {self.SENT, self.DELIVERED, self.BUNDLED}


class Delivery(Model):
    """A notification's way to its contact, as the incident keeps it.

    Attributes:
        contact: Where it goes; None for an address that the target is itself.
        person: Whose contact that is.
        edits: Whether the message is brought up to date in place.
        mirrors: Whether a system there follows the incident.
        held_until: While it is held: until when, at the most.
        next_contact_at: When the next contact has its turn, unless this one went through.
    """

    notification_id: str
    kind: NotificationKind
    target: Target
    contact: Contact | None = None
    person: str | None = None
    edits: bool = False
    mirrors: bool = False
    level: int
    round: int
    status: DeliveryStatus = DeliveryStatus.QUEUED
    queued_at: AwareDatetime
    finished_at: AwareDatetime | None = None
    held_until: AwareDatetime | None = None
    next_contact_at: AwareDatetime | None = None
    failure: FailureKind | None = None
    reason: str | None = None
    reference: str | None = None
    attempts: tuple[DeliveryAttempt, ...] = ()
    bundled: tuple[BundledIncident, ...] = ()


class DeliveryReport(Model):
    """What a channel tells later about a message that it took.

    Attributes:
        delivered: Whether it arrived.
        reason: Why not.
    """

    notification_id: str
    delivered: bool
    reason: str = ""


class Hop(Model):
    """One contact on the way to a recipient, with how long it is tried.

    Attributes:
        edits: Whether its message is brought up to date in place.
        mirrors: Whether it is told of every change, whoever made it.
    """

    contact: Contact
    person: str | None = None
    edits: bool = False
    mirrors: bool = False
    deadline: timedelta

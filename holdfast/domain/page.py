"""Owns the page: what the ladder wants sent, and what comes of it in the world as it is then.

The ladder names targets. Who that is at this moment, over what they are reached, and whether the
page may go out now, is looked up when it is due: an order says it, and the incident keeps it.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field

from holdfast.domain.hours import Hours
from holdfast.domain.model import Model, Name
from holdfast.domain.notification import Hop
from holdfast.domain.person import Contact
from holdfast.domain.severity import Severity
from holdfast.domain.target import Target
from holdfast.domain.throttle import Admission


class PageCause(StrEnum):
    """Why a page is due."""

    LEVEL = "level"  # its turn on the ladder
    RESUMED = "resumed"  # an acknowledgement or a snooze led nowhere
    REASSIGNED = "reassigned"  # somebody handed the incident over
    SHIFT = "shift"  # the shift changed while nobody had it
    URGED = "urged"  # somebody asked for the next level

    @property
    def asked_for(self) -> bool:
        """Whether a person wants it now, so that no silence or hours hold it."""
        return self in {self.REASSIGNED, self.URGED}


class Page(Model):
    """What the ladder wants sent: one level's targets, in one of its rounds.

    Attributes:
        number: 1 for the incident's first page; with it, notifications are named.
        level: 1 for the first.
        round: 1 for the first climb; each repeat is one more.
        unreached: What the level before is to tell this one: whom it could not reach, and why.
    """

    number: int = 1
    level: int
    round: int
    targets: tuple[Target, ...]
    cause: PageCause = PageCause.LEVEL
    unreached: tuple[str, ...] = ()


class PageSubject(Model):
    """What of an incident decides about its pages."""

    incident_id: str
    workflow_id: str
    service: Name
    category: str
    severity: Severity
    labels: dict[str, str] = Field(default_factory=dict)
    title: str


def notification_id(incident_id: str, page: Page, *, place: int, hop: int) -> str:
    """The name of one contact's part in a page: the idempotency key that its receiver sees.

    Args:
        incident_id: The incident.
        page: The page.
        place: The target's place in the page, 0 for the first.
        hop: The contact's place on the way to the target, 0 for the first.
    """
    first = f"{incident_id}:page:{page.number}:{place + 1}"
    return f"{first}:{hop + 1}" if hop else first


class PageRequest(Model):
    """A page that is due, to be looked up.

    Attributes:
        at: The moment.
        policy: The policy's name.
        hours: In which it may go out; None for always.
        depends_on: The services whose own incidents hold it back.
        not_behind: The workflows of incidents that hold it no longer.
    """

    at: AwareDatetime
    subject: PageSubject
    page: Page
    policy: str
    hours: Hours | None = None
    depends_on: tuple[Name, ...] = ()
    not_behind: tuple[str, ...] = ()


class HoldKind(StrEnum):
    """What keeps a whole page back."""

    RECOVERY = "recovery"
    SILENCE = "silence"
    HOURS = "hours"
    DEPENDENCY = "dependency"


class PageHold(Model):
    """Why a page does not go out now.

    Attributes:
        until: When it is looked up again, at the latest.
        reason: As a sentence.
        by: The silence's id, or the workflow of the dependency's incident.
    """

    kind: HoldKind
    until: AwareDatetime
    reason: str
    by: str | None = None


class Recipient(Model):
    """A target as it is at this moment.

    Attributes:
        who: For people: ``Ada Lovelace (on call: primary)``.
        person: The person's key in the policy file.
        hops: Where it goes, one after the other until one works; empty when there is nobody.
        problem: Why there is nobody; beside hops, what is wrong with one of their contacts.
        admission: Whether the first contact may be told now.
    """

    target: Target
    who: str
    person: Name | None = None
    hops: tuple[Hop, ...] = ()
    problem: str = ""
    admission: Admission = Admission()


class AdmissionRequest(Model):
    """Asks whether a contact may be told now.

    Attributes:
        at: The moment.
    """

    at: AwareDatetime
    subject: PageSubject
    policy: str
    notification_id: str
    contact: Contact


class LookUp(Model):
    """Asks where targets are reached at a moment, page or not."""

    at: AwareDatetime
    targets: tuple[Target, ...]


class IncidentsAsked(Model):
    """Asks how many incidents a service had within each of some spans."""

    at: AwareDatetime
    service: Name
    spans: tuple[timedelta, ...]


class IncidentsCounted(Model):
    """How many incidents a service had, by span; a span is missing where nobody could tell."""

    by_span: dict[timedelta, int] = Field(default_factory=dict)


class PagesWithdrawn(Model):
    """An incident no longer wants the pages that wait."""

    incident_id: str


class PageOrder(Model):
    """What a page comes to.

    Attributes:
        hold: Set when it must wait; nobody is told then.
        shift_ends_at: When somebody else will be on call for one of its targets.
    """

    hold: PageHold | None = None
    recipients: tuple[Recipient, ...] = ()
    shift_ends_at: AwareDatetime | None = None


class Way(Model):
    """Where a page is on its way to one recipient: over one contact after another.

    Attributes:
        place: The recipient's place in the page, 0 for the first.
        policy: The name of the policy that the page follows.
        hop: The contact's place among the recipient's, 0 for the first.
    """

    page: Page
    place: int
    recipient: Recipient
    policy: str
    hop: int = 0

    @property
    def here(self) -> Hop:
        """The contact that has its turn."""
        return self.recipient.hops[self.hop]

    @property
    def further(self) -> Self | None:
        """The way over the next contact; None when this is the last."""
        if self.hop + 1 == len(self.recipient.hops):
            return None
        return self.model_copy(update={"hop": self.hop + 1})

    def notification_id(self, incident_id: str) -> str:
        """The name of this contact's part in the page."""
        return notification_id(incident_id, self.page, place=self.place, hop=self.hop)


class Behind(Model):
    """An incident waits for another's end."""

    workflow_id: str

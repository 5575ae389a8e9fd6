"""Owns custody: who acts on an incident, who has it until when, and how its escalation stands."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from holdfast.domain.model import Model, Name
from holdfast.domain.page import PageHold


class Via(StrEnum):
    """Over what somebody acted."""

    API = "api"
    SLACK = "slack"
    SMS = "sms"
    EMAIL = "email"
    PAGERDUTY = "pagerduty"
    SENTRY = "sentry"
    TEMPORAL = "temporal"
    SYSTEM = "system"


class Actor(Model):
    """Whoever acts on an incident.

    Attributes:
        name: As the record and messages show it.
        person: Their key in the policy file, if it knows them.
        via: Over what they acted.
    """

    name: str = Field(min_length=1, max_length=200)
    person: Name | None = None
    via: Via = Via.API

    def __str__(self) -> str:
        shown = {Via.API, Via.SYSTEM}
        return self.name if self.via in shown else f"{self.name} (over {self.via})"


class Custody(Model):
    """Who has an incident, beside ``acknowledged_by``, and until when.

    Attributes:
        person: The key in the policy file of whoever has it.
        via: Over what they took it.
        remind_at: When they are reminded that they have it.
        ends_at: When the acknowledgement is taken back and escalation goes on.
        snoozed_until: Nobody is paged until then.
        snoozed_by: Who wanted that.
        assigned_to: Whom it was handed to last.
        used_links: The one-time links that were used up.
    """

    person: Name | None = None
    via: Via | None = None
    remind_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    snoozed_until: AwareDatetime | None = None
    snoozed_by: str | None = None
    assigned_to: str | None = None
    used_links: tuple[str, ...] = ()

    def taken(
        self, by: Actor, *, at: datetime, timeout: timedelta, remind_before: timedelta
    ) -> "Custody":
        """Somebody has it now, for as long as an acknowledgement is worth."""
        ends_at = at + timeout if timeout else None
        reminds = ends_at is not None and timedelta(0) < remind_before < timeout
        return self.model_copy(
            update={
                "person": by.person,
                "via": by.via,
                "ends_at": ends_at,
                "remind_at": ends_at - remind_before if reminds and ends_at else None,
                "snoozed_until": None,
                "snoozed_by": None,
            }
        )

    def given_up(self) -> "Custody":
        """Nobody has it and nothing keeps pages back; what was used up stays so."""
        return Custody(assigned_to=self.assigned_to, used_links=self.used_links)


class Choice(Model):
    """One decision of the escalation rules.

    Attributes:
        reason: Which rule decided, and on what.
    """

    at: AwareDatetime
    policy: str | None
    severity: str
    reason: str


class Escalating(Model):
    """The escalation as people see it.

    Attributes:
        policy: The policy's name; None when nobody will be paged, and ``reason`` says why.
        level: The last level that was paged; 0 before the first.
        held_until: The next page is kept back until then, at the most.
        hold: What keeps it back.
        next_level_at: When the next level's turn comes, while nobody acknowledges.
        shift_ends_at: When somebody else will be on call, and be paged if nobody has it.
        unreached: Whom it could not reach, which the next page will tell.
        choices: What the rules decided, one after the other.
    """

    policy: str | None = None
    reason: str
    level: int = 0
    round: int = 0
    held_until: AwareDatetime | None = None
    hold: PageHold | None = None
    next_level_at: AwareDatetime | None = None
    next_level: int | None = None
    shift_ends_at: AwareDatetime | None = None
    unreached: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()

    def over(self) -> "Escalating":
        """The escalation with nothing more to come."""
        nothing = dict.fromkeys(("held_until", "hold", "next_level_at", "next_level"))
        return self.model_copy(update=nothing)


class Remark(Model):
    """What somebody noted on an incident."""

    at: AwareDatetime
    by: str
    text: str

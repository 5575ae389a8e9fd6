"""Owns what is sent to workflows and what they answer: one model in, one model out."""

from pydantic import AwareDatetime, Field

from holdfast.domain.board import Board
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.custody import Actor, Via
from holdfast.domain.frequency import Tally
from holdfast.domain.incident import Incident
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.ladder import Ladder
from holdfast.domain.lease import Lease, LeaseRequest
from holdfast.domain.model import Model, Name
from holdfast.domain.outcome import ProbeResult
from holdfast.domain.page import Way
from holdfast.domain.policy import Plan
from holdfast.domain.report import ReportBatch
from holdfast.domain.target import Target
from workflows.first_ladder import FirstLadder
from workflows.recorder import Backlog

# The Temporal UI does not say who sends a signal from it.
UI_USER = "somebody in the Temporal UI"


class ReportReports(Model):
    """Tells an incident of more reports, with the plan to follow should they open it."""

    batch: ReportBatch
    plan: Plan


class ReportAnswer(Model):
    """What a batch of reports met.

    Attributes:
        repeat: Whether the incident was open already.
    """

    incident_id: str
    status: IncidentStatus
    report_count: int
    repeat: bool


class CarriedIncident(Model):
    """An open incident on its way into the workflow's next run.

    Attributes:
        ladder: Where the escalation of an incident of the first version stands.
        climb: Where its escalation stands; None before its first page and once nobody is paged.
        boards: The messages that are brought up to date in place.
        tallies: How often the error was reported lately, for the rules that ask.
        ignored: Whether its strategy wants nobody paged.
        counted: The ids of the batches counted lately.
        behind: The workflows of incidents whose pages wait for this one's end.
        sent: The ways of pages of which their channels may still say whether they arrived.
    """

    incident: Incident
    plan: Plan
    ladder: FirstLadder | None = None
    climb: Ladder | None = None
    boards: tuple[Board, ...] = ()
    tallies: tuple[Tally, ...] | None = None
    ignored: bool = False
    counted: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    sent: tuple[Way, ...] = ()

    @property
    def present_ladder(self) -> Ladder | None:
        """Where its escalation stands, be it one that the first version began."""
        if self.climb or self.ladder is None or self.plan.escalation is None:
            return self.climb
        return self.ladder.brought_forward(self.plan.escalation, self.incident.escalation)


class IncidentInput(Model):
    """What an incident workflow's run starts with; the first run of an incident has nothing.

    Attributes:
        carried: The open incident of the run before.
        successor: Reports that came while the incident of the run before was closing.
        boards: The messages of that incident which do not show its end yet.
        backlog: What the run before had not written yet.
    """

    carried: CarriedIncident | None = None
    successor: ReportReports | None = None
    boards: tuple[Board, ...] = ()
    backlog: Backlog = Backlog()


class Deed(Model):
    """Something that a person does to an incident.

    Attributes:
        by: Their name, as the record shows it.
        person: Their key in the policy file, if it knows them.
        via: Over what they act.
        incident_id: Which incident, since the workflow may have gone on to the next; None for the
            present one, as in a signal sent by hand.
        link: The one-time link that they used, if they did.
    """

    by: str = Field(min_length=1, max_length=200)
    person: Name | None = None
    via: Via = Via.API
    incident_id: str | None = None
    link: str | None = Field(None, max_length=200)

    @property
    def actor(self) -> Actor:
        """Who does it."""
        return Actor(name=self.by, person=self.person, via=self.via)


class Acknowledge(Deed):
    """A person takes an incident."""

    by: str = Field(UI_USER, min_length=1, max_length=200)


class Unacknowledge(Deed):
    """A person gives an incident back: escalation goes on."""


class Resolve(Deed):
    """A person ends an incident."""

    note: str | None = Field(None, max_length=4000)


class Snooze(Deed):
    """A person wants nobody paged until a time."""

    until: AwareDatetime


class Reassign(Deed):
    """A person hands an incident to somebody else, who is paged at once."""

    to: Target


class Escalate(Deed):
    """A person wants the next level paged now."""


class Remarked(Deed):
    """A person notes something."""

    text: str = Field(min_length=1, max_length=4000)


class TripBreaker(Model):
    """The monitor saw a service's calls go badly.

    Attributes:
        epoch: The breaker's epoch in which the calls were admitted.
        reason: How badly, as a sentence.
        rules: By which it was judged.
    """

    service: Name
    epoch: int = Field(ge=0)
    reason: str
    rules: BreakerRules


class ProbeResults(Model):
    """How leased calls of one service in half-open went."""

    results: tuple[ProbeResult, ...]


class LeaseRequests(Model):
    """Processes want to make probe calls; those that ask together are answered together."""

    requests: tuple[LeaseRequest, ...]


class LeaseAnswers(Model):
    """What came of them.

    Attributes:
        leases: For each request in its place its lease, or None where it was refused.
        status: The breaker's, after them.
        epoch: The breaker's, after them.
    """

    leases: tuple[Lease | None, ...]
    status: BreakerStatus
    epoch: int


class SetMode(Model):
    """An operator holds a breaker's status, or gives it back.

    Attributes:
        mode: One of the operator's; None lets the breaker decide again.
        by: Their name, as the record shows it.
        until: When it ends by itself; None for never.
        rules: The service's, as the policy file has them.
    """

    service: Name
    mode: BreakerStatus | None
    by: str = Field(min_length=1, max_length=200)
    reason: str = Field("", max_length=1000)
    until: AwareDatetime | None = None
    rules: BreakerRules = BreakerRules()

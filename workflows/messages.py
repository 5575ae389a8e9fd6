"""Owns what is sent to workflows and what they answer: one model in, one model out."""

from pydantic import Field

from holdfast.domain.escalation import Ladder
from holdfast.domain.incident import Incident, IncidentStatus
from holdfast.domain.model import Model
from holdfast.domain.policy import Plan
from holdfast.domain.report import ReportBatch
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
        ladder: Where its escalation stands; None before its first page and once nobody is paged.
        ignored: Whether its strategy wants nobody paged.
        counted: The ids of the batches counted lately.
    """

    incident: Incident
    plan: Plan
    ladder: Ladder | None
    ignored: bool = False
    counted: tuple[str, ...]


class IncidentInput(Model):
    """What an incident workflow's run starts with; the first run of an incident has nothing.

    Attributes:
        carried: The open incident of the run before.
        successor: Reports that came while the incident of the run before was closing.
        backlog: What the run before had not written yet.
    """

    carried: CarriedIncident | None = None
    successor: ReportReports | None = None
    backlog: Backlog = Backlog()


class Acknowledge(Model):
    """A person takes an incident.

    Attributes:
        by: Who.
        incident_id: Which, since the workflow may have gone on to the next; None for the present
            one, as in a signal sent by hand.
    """

    by: str = Field(UI_USER, min_length=1, max_length=200)
    incident_id: str | None = None


class Resolve(Model):
    """A person ends an incident."""

    by: str = Field(min_length=1, max_length=200)
    incident_id: str | None = None
    note: str | None = Field(None, max_length=4000)

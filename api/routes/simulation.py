"""Owns the route that answers who would be paged when."""

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from activities.roster import Roster
from api.authentication import Viewer
from api.dependencies import ServicesDependency
from api.documentation import example
from api.examples_of_escalation import SIMULATION
from api.key_ring import Caller
from api.problems import InvalidFields
from api.routes.configuration import problems_of
from api.services import Services
from api.simulation import Simulation, Simulator
from config.policy import parse
from holdfast.domain.policy import Policy
from holdfast.domain.report import Report
from holdfast.domain.role import Role, allows
from holdfast.errors import ConfigurationError, Forbidden, InvalidInput

router = APIRouter(tags=["escalations"])

_LONGEST_POLICY = 60_000


class Hypothesis(BaseModel):
    """A report that did not happen."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "report": {
                        "service": "channels",
                        "error_type": "StreamProcessDied",
                        "message": "the encoder of channel news exited with code 137",
                    },
                    "at": "2026-03-01T03:00:00Z",
                }
            ]
        },
    )

    report: Report = Field(description="As it would be sent to `POST /errors`.")
    at: AwareDatetime | None = Field(None, description="When it would come; now if not given.")
    occurrences: int = Field(
        1, ge=1, le=1_000_000, description="How often it would be reported at once."
    )
    incidents: int = Field(
        1,
        ge=1,
        le=100_000,
        description="How many incidents its service would have had lately, this one included.",
    )
    policy: str | None = Field(
        None,
        max_length=_LONGEST_POLICY,
        description="The text of a policy file to try, in place of the active one. "
        "Needs the role operator.",
    )


@router.post(
    "/escalations/simulate",
    summary="Who would be paged when",
    response_description="Every step, if recovery doesn't help and nobody acknowledges.",
    responses=example(SIMULATION),
)
async def simulate_escalation(
    services: ServicesDependency, caller: Viewer, body: Hypothesis
) -> Simulation:
    """Say who would be paged when for a report, by the active policy file or a submitted one.

    Nothing is sent or kept. Schedules are asked who will be on call at each step's time; silences,
    hours and open incidents of what the service depends on are as they are now.
    """
    policy, roster = services.holder.policy, services.roster
    if body.policy is not None:
        policy = _submitted(caller, body.policy, active=policy)
        roster = _roster(services, policy)
    simulator = Simulator(policy, roster=roster, holds=services.people.holds)
    return await simulator.run(
        body.report,
        at=body.at or datetime.now(UTC),
        occurrences=body.occurrences,
        incidents=body.incidents,
    )


def _roster(services: Services, policy: Policy) -> Roster:
    return Roster(policy=lambda: policy, calendars=services.people.calendars)


def _submitted(caller: Caller, text: str, *, active: Policy) -> Policy:
    if not allows(caller.roles, Role.OPERATOR):
        raise Forbidden(f"a policy of your own needs the role operator; '{caller.name}' lacks it")
    try:
        policy = parse(text, "policy")
    except ConfigurationError as error:
        raise InvalidFields("the submitted policy is wrong", errors=problems_of(error)) from error
    # This process would read whatever file or address stands there, and tell what it found.
    known = {schedule.calendar for schedule in active.schedules.values()}
    for name, schedule in policy.schedules.items():
        if schedule.calendar not in {None, *known}:
            raise InvalidInput(
                f"the calendar of the schedule '{name}' is none of the active policy file's; "
                "only those are read here",
                field=f"policy.schedules.{name}.calendar",
            )
    return policy

"""Owns the route of who is on call: now and next, in each schedule."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field

from activities.roster import OnCall
from api.authentication import Viewer
from api.dependencies import ServicesDependency
from api.documentation import example, problems
from api.listing import Listing
from holdfast.domain.directory import display_name
from holdfast.domain.model import LONGEST, Name
from holdfast.domain.policy import Policy
from holdfast.domain.schedule import Shift
from holdfast.errors import InvalidInput

router = APIRouter(tags=["escalations"])

_SHIFT: Final[dict[str, Any]] = {
    "person": "ada",
    "name": "Ada Lovelace",
    "channels": ["slack", "sms"],
    "since": "2026-02-23T08:00:00Z",
    "until": "2026-03-02T08:00:00Z",
    "source": "layer 1",
}
_ON_CALL: Final = {
    "items": [
        {
            "schedule": "primary",
            "description": "the week's first responder",
            "now": _SHIFT,
            "next": {
                "person": "grace",
                "name": "Grace Hopper",
                "channels": ["slack"],
                "since": "2026-03-02T08:00:00Z",
                "until": "2026-03-09T08:00:00Z",
                "source": "layer 1",
            },
            "problem": None,
        }
    ],
    "cursor": None,
}


class ShiftView(BaseModel):
    """Somebody's time on call, or a gap."""

    person: str | None = Field(
        description="Their key in the policy file; none for a gap: nobody is on call."
    )
    name: str | None = Field(description="Their name.")
    channels: list[str] = Field(
        description="Over what they are reached, in their order of preference."
    )
    since: AwareDatetime | None = Field(
        description="When it begins; none if that is longer ago than anybody looks."
    )
    until: AwareDatetime | None = Field(
        description="When somebody else is on call, or nobody; none if not for long."
    )
    source: str = Field(
        description="Where that stands: `layer 1`, `override`, `calendar`. For a gap, the "
        "calendar's event that names nobody known, if there is one."
    )

    @classmethod
    def of(cls, shift: Shift, policy: Policy) -> Self:
        """A shift as it is shown."""
        person = policy.people.get(shift.person or "")
        contacts = person.contacts if person else ()
        return cls(
            person=shift.person,
            name=display_name(policy.people, shift.person) if shift.person else None,
            channels=list(dict.fromkeys(contact.channel for contact in contacts)),
            since=shift.starts_at,
            until=shift.ends_at,
            source=shift.source,
        )


class OnCallView(BaseModel):
    """Who is on call in a schedule."""

    schedule: str = Field(description="The schedule's name in the policy file.")
    description: str = Field(description="What the policy file says it is for.")
    now: ShiftView = Field(description="The shift at the time that was asked for.")
    next: ShiftView | None = Field(
        description="What follows it, a gap too; none if nothing changes for as long as anybody "
        "looks ahead, or if the calendar can't be read."
    )
    problem: str | None = Field(
        description="Why the calendar can't be read; only overrides are known then."
    )

    @classmethod
    def of(cls, on_call: OnCall, policy: Policy) -> Self:
        """A schedule's state as it is shown."""
        schedule = policy.schedules.get(on_call.schedule)
        return cls(
            schedule=on_call.schedule,
            description=schedule.description if schedule else "",
            now=ShiftView.of(on_call.now, policy),
            next=ShiftView.of(on_call.next, policy) if on_call.next else None,
            problem=on_call.problem or None,
        )


@router.get(
    "/oncall",
    summary="Who is on call",
    response_description="In the policy file's order.",
    responses=example(_ON_CALL) | problems(404),
)
async def list_on_call(
    services: ServicesDependency,
    _: Viewer,
    at: Annotated[
        AwareDatetime | None,
        Query(
            description="When, with an offset; now if it is not given.",
            examples=["2026-03-01T00:00:00Z"],
        ),
    ] = None,
    schedule: Annotated[
        Name | None, Query(description="Only this schedule.", examples=["primary"])
    ] = None,
) -> Listing[OnCallView]:
    """List who is on call in each schedule, until when, and who follows.

    A schedule whose calendar can't be read says so in `problem`; the others are told all the same.
    """
    moment = _moment(at)
    roster = services.roster
    found = (
        [await roster.on_call(schedule, moment)] if schedule else await roster.now_and_next(moment)
    )
    policy = services.holder.policy
    return Listing(items=[OnCallView.of(each, policy) for each in found])


def _moment(at: datetime | None) -> datetime:
    now = datetime.now(UTC)
    # Further away no calendar is kept, and time itself comes to an end.
    if at and abs(at - now) > LONGEST:
        raise InvalidInput(f"expected a time within {LONGEST.days} days of now", field="at")
    return at or now

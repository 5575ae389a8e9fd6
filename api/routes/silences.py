"""Owns the routes of silences: planned times in which incidents are recovered but page nobody."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Self
from uuid import uuid4

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.authentication import Responder, Viewer
from api.dependencies import Cursor, Limit, ServicesDependency
from api.documentation import example, problems
from api.durations import WrittenDuration
from api.listing import Listing
from api.silence_desk import times
from holdfast.domain.hours import TimeZone
from holdfast.domain.report import Category
from holdfast.domain.role import Role, allows
from holdfast.domain.silence import LONGEST, Matcher, Silence, SilenceState
from holdfast.errors import Forbidden, InvalidInput

router = APIRouter(tags=["escalations"])

_SILENCE: Final[dict[str, Any]] = {
    "id": "8c1f2a60-53f3-4a5e-9d0b-1f6a8f1d7c22",
    "state": "planned",
    "match": {"service": ["previews"], "category": [], "labels": {"region": "eu-*"}},
    "starts_at": "2026-03-01T01:00:00Z",
    "ends_at": "2026-03-01T03:00:00Z",
    "recurrence": "FREQ=WEEKLY;BYDAY=SU",
    "time_zone": "Europe/Berlin",
    "reason": "the disks are being replaced",
    "created_by": "ada",
    "created_at": "2026-02-27T14:02:11Z",
    "occurrence": {"starts_at": "2026-03-08T01:00:00Z", "ends_at": "2026-03-08T03:00:00Z"},
    "over_at": None,
    "ended_at": None,
    "ended_by": None,
}
_ENDED: Final = _SILENCE | {
    "state": "past",
    "occurrence": None,
    "ended_at": "2026-03-01T01:40:00Z",
    "ended_by": "grace",
}

Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class SilenceMatch(BaseModel):
    """Which incidents: all that is given must hold, of a list any."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    service: list[Pattern] = Field(
        default_factory=list,
        max_length=100,
        description="Services; `*` stands for any text.",
        examples=[["previews", "stream-*"]],
    )
    category: list[Category] = Field(
        default_factory=list, max_length=100, description="Categories.", examples=[["network"]]
    )
    labels: dict[Annotated[str, Field(max_length=200)], Pattern] = Field(
        default_factory=dict,
        max_length=50,
        description="Labels of the latest report, by name; `*` stands for any text.",
        examples=[{"region": "eu-*"}],
    )


class NewSilence(BaseModel):
    """A planned time, once or again and again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "match": {"service": ["previews"]},
                    "duration": "2h",
                    "reason": "the disks are being replaced",
                },
                {
                    "match": {"service": ["previews"], "labels": {"region": "eu-*"}},
                    "starts_at": "2026-03-01T02:00:00+01:00",
                    "ends_at": "2026-03-01T04:00:00+01:00",
                    "recurrence": "FREQ=WEEKLY;BYDAY=SU",
                    "time_zone": "Europe/Berlin",
                    "reason": "the disks are being replaced",
                },
            ]
        },
    )

    match: SilenceMatch = Field(
        description="Which incidents. `{}` is every one, and needs the role operator."
    )
    starts_at: AwareDatetime | None = Field(None, description="Its first moment; now if not given.")
    ends_at: AwareDatetime | None = Field(
        None, description="The first moment after it; of its first time, if it recurs."
    )
    duration: WrittenDuration | None = Field(
        None, description="In place of `ends_at`.", examples=["2h"]
    )
    recurrence: str | None = Field(
        None,
        max_length=500,
        description="When it comes again: a rule as RFC 5545 has it, hourly at the most. "
        "`starts_at` is the first of its times.",
        examples=["FREQ=WEEKLY;BYDAY=SU"],
    )
    time_zone: TimeZone = Field(
        "UTC",
        description="By whose clock it recurs, in summer and in winter.",
        examples=["Europe/Berlin"],
    )
    reason: str = Field(
        min_length=1,
        max_length=2000,
        description="Why; it is shown with every page that is held, and goes on the record.",
        examples=["the disks are being replaced"],
    )

    @model_validator(mode="after")
    def _says_how_long(self) -> Self:
        if (self.ends_at is None) == (self.duration is None):
            raise ValueError("expected one of ends_at and duration")
        return self

    def planned(self, *, by: str, now: datetime) -> Silence:
        """The silence that somebody wants.

        Raises:
            InvalidInput: If it doesn't end after it starts, or lasts for longer than a year.
        """
        starts_at = self.starts_at or now
        ends_at = self.ends_at or starts_at + (self.duration or timedelta())
        if not timedelta(0) < ends_at - starts_at <= LONGEST:
            raise InvalidInput(
                f"it ends after it starts, at {starts_at}, and {LONGEST.days} days later at the "
                f"most; not at {ends_at}",
                field="ends_at" if self.ends_at else "duration",
            )
        if self.recurrence is not None:  # rules know whole seconds
            starts_at, ends_at = (each.replace(microsecond=0) for each in (starts_at, ends_at))
        return Silence(
            id=str(uuid4()),
            match=Matcher.model_validate(self.match.model_dump()),
            starts_at=starts_at,
            ends_at=ends_at,
            recurrence=self.recurrence,
            time_zone=self.time_zone,
            created_by=by,
            reason=self.reason,
            created_at=now,
        )


class OccurrenceView(BaseModel):
    """One of a silence's times."""

    starts_at: AwareDatetime = Field(description="Its first moment.")
    ends_at: AwareDatetime = Field(description="The first moment after it.")


class SilenceView(BaseModel):
    """A silence as it stands."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="Names the silence.")
    state: SilenceState = Field(
        description="active: it holds pages now; planned: it will; past: it never does again."
    )
    match: SilenceMatch = Field(description="Which incidents it holds the pages of.")
    starts_at: AwareDatetime = Field(description="The first moment of its first time.")
    ends_at: AwareDatetime = Field(description="The first moment after its first time.")
    recurrence: str | None = Field(description="When it comes again; none if it does not.")
    time_zone: str = Field(description="By whose clock it recurs.")
    reason: str = Field(description="Why.")
    created_by: str = Field(description="Who wanted it.")
    created_at: AwareDatetime = Field(description="When it was made.")
    occurrence: OccurrenceView | None = Field(
        description="The time that holds pages now, or else the next."
    )
    over_at: AwareDatetime | None = Field(
        description="When its last time ends; none if it recurs without end, or for ten years."
    )
    ended_at: AwareDatetime | None = Field(description="When somebody ended it before its time.")
    ended_by: str | None = Field(description="Who did.")

    @classmethod
    def of(cls, silence: Silence, *, now: datetime) -> Self:
        """A silence as it stands at a moment."""
        time = times(silence, now)
        occurrence = time.model_dump(exclude={"state"}) if time.starts_at else None
        stands = {"state": time.state, "occurrence": occurrence}
        return cls.model_validate(silence.model_dump() | stands)


SilenceId = Annotated[
    str, Path(max_length=100, description="The silence's id.", examples=[_SILENCE["id"]])
]


@router.get(
    "/silences",
    summary="The silences",
    response_description="The newest first.",
    responses=example({"items": [_SILENCE], "cursor": None}),
)
async def list_silences(
    *,
    services: ServicesDependency,
    _: Viewer,
    state: Annotated[SilenceState | None, Query(description="Of this state only.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Listing[SilenceView]:
    """List the times in which pages are held: those of now, those planned, and those past."""
    page = await services.people.silence_desk.list(state, limit=limit, before=cursor)
    now = datetime.now(UTC)
    items = [SilenceView.of(each, now=now) for each in page.items]
    return Listing(items=items, cursor=page.cursor)


@router.post(
    "/silences",
    status_code=201,
    summary="Plan a silence",
    response_description="It is kept, and every process knows of it.",
    responses=example(_SILENCE, status=201),
)
async def create_silence(
    services: ServicesDependency, caller: Responder, body: NewSilence
) -> SilenceView:
    """Plan a time in which what matches is recovered, but pages nobody.

    At its end, whoever is still concerned is paged. What people ask for by hand is never held.
    """
    now = datetime.now(UTC)
    silence = body.planned(by=caller.name, now=now)
    if silence.match.is_empty and not allows(caller.roles, Role.OPERATOR):
        raise Forbidden(
            f"to silence everything needs the role operator; the key '{caller.name}' lacks it: "
            "name a service, a category or a label in match"
        )
    return SilenceView.of(await services.people.silence_desk.create(silence), now=now)


@router.get(
    "/silences/{silence_id}",
    summary="One silence",
    response_description="The silence as it stands.",
    responses=example(_SILENCE) | problems(404),
)
async def get_silence(
    services: ServicesDependency, _: Viewer, silence_id: SilenceId
) -> SilenceView:
    """Show a silence: what it holds, why, who wanted it, and when it holds next."""
    silence = await services.people.silence_desk.get(silence_id)
    return SilenceView.of(silence, now=datetime.now(UTC))


@router.post(
    "/silences/{silence_id}/end",
    summary="End a silence",
    response_description="It is over; the pages that it held go out unless something else holds "
    "them.",
    responses=example(_ENDED) | problems(404, 409),
)
async def end_silence(
    services: ServicesDependency, caller: Responder, silence_id: SilenceId
) -> SilenceView:
    """End a silence before its time, with all its times to come.

    The incidents whose pages it held look at once whether they may go out.
    """
    silence = await services.people.silence_desk.end(silence_id, by=caller.name)
    return SilenceView.of(silence, now=datetime.now(UTC))

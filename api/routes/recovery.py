"""Owns the routes of recovery: how it goes, and the actions that people ask for."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Header, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from api.authentication import Operator, Viewer
from api.dependencies import ServiceName, ServicesDependency
from api.documentation import example, problems
from api.durations import WrittenDuration
from api.examples import RESTART, STATISTICS
from api.key_ring import Caller
from api.services import Services
from holdfast.domain.incident_status import Resolution
from holdfast.domain.recovery import RecoveryOutcome, TicketStatus

router = APIRouter(tags=["recovery"])

_LONGEST_WINDOW = timedelta(days=366)
_LONGEST_WAIT = timedelta(minutes=1)


class StepCountsView(BaseModel):
    """How attempts of recovery steps ended."""

    model_config = ConfigDict(from_attributes=True)

    attempts: int = Field(description="Those that ended well or badly.")
    succeeded: int = Field(description="Those that were verified to have helped.")
    failed: int = Field(description="Those that did not help.")
    skipped: int = Field(description="Steps that the service has no action for; never attempted.")
    success_rate: float | None = Field(
        description="The share that ended well, 0 to 1; none without attempts."
    )


class DurationsView(BaseModel):
    """How long something took, over several incidents."""

    model_config = ConfigDict(from_attributes=True)

    count: int = Field(description="How many incidents.")
    mean: WrittenDuration | None = Field(description="The mean.")
    p50: WrittenDuration | None = Field(description="Half of them took no longer.")
    p95: WrittenDuration | None = Field(description="95 of 100 took no longer.")


class RecoveryStatisticsView(BaseModel):
    """How recovery went within a window of time."""

    model_config = ConfigDict(from_attributes=True)

    since: AwareDatetime = Field(description="The window's first moment.")
    until: AwareDatetime = Field(description="The first moment after it.")
    steps: StepCountsView = Field(description="All attempts together.")
    by_category: dict[str, StepCountsView] = Field(description="Attempts by the error's category.")
    by_step: dict[str, StepCountsView] = Field(description="Attempts by the strategy's step.")
    opened: int = Field(description="Incidents that opened within the window.")
    resolved: int = Field(description="Incidents that ended within it.")
    by_resolution: dict[Resolution, int] = Field(description="What ended them.")
    to_acknowledge: DurationsView = Field(description="From opening until a person took it.")
    to_recover: DurationsView = Field(description="From opening until recovery was verified.")
    to_resolve: DurationsView = Field(description="From opening until the end, however it came.")


class ManualRecovery(BaseModel):
    """What an action needs to know."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"context": {"channel": "news"}, "wait": "30s"}]},
    )

    context: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="What the action's templates name, as a report's context: "
        "`{context.channel}` needs `channel` here.",
        examples=[{"channel": "news"}],
    )
    wait: WrittenDuration | None = Field(
        None,
        ge=timedelta(0),
        le=_LONGEST_WAIT,
        description="Wait so long for the outcome, at most one minute.",
    )


class RecoveryTicket(BaseModel):
    """The place that an asked-for action has."""

    service: str = Field(description="The service.")
    action: str = Field(description="The action.")
    request_id: str = Field(description="Names the request.")
    run_id: str = Field(
        description="Names the run that serves it: another's, if an equal one was under way."
    )
    status: TicketStatus = Field(
        description="queued: it waits for its turn; shared: an equal request's run serves it; "
        "known: it was carried out before."
    )
    ahead: int = Field(description="How many runs come before it.")
    outcome: RecoveryOutcome | None = Field(
        None, description="How it went, if `wait` was given and it ended in time."
    )


IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[!-~]{1,100}$",
        description="Asking twice with one key is asking once. Made up when not given.",
        examples=["restart-before-the-show"],
    ),
]


@router.get(
    "/recovery/stats",
    summary="How recovery goes",
    response_description="Sums, rates and times over the window.",
    responses=example(STATISTICS),
)
async def get_statistics(
    services: ServicesDependency,
    _: Viewer,
    window: Annotated[
        WrittenDuration,
        Query(
            gt=timedelta(0),
            le=_LONGEST_WINDOW,
            description="How far back, at most 366 days.",
            examples=["24h", "7d"],
        ),
    ] = timedelta(hours=24),
) -> RecoveryStatisticsView:
    """Count attempts and successes by category and step, and the times that things took."""
    found = await services.statistics.recovery(window, now=datetime.now(UTC))
    return RecoveryStatisticsView.model_validate(found)


@router.post(
    "/recovery/restart/{service}",
    status_code=202,
    summary="Restart a service",
    response_description="It is asked for, and will be done whatever crashes.",
    responses=example(RESTART, status=202) | problems(404, 409),
)
async def restart_service(
    services: ServicesDependency,
    caller: Operator,
    service: ServiceName,
    body: ManualRecovery | None = None,
    idempotency_key: IdempotencyKey = None,
) -> RecoveryTicket:
    """Carry the service's `restart` out, through the same workflow as automatic recovery.

    Actions on one service run one at a time, and equal requests share one run. The limit for
    automatic actions does not hold a person back. The audit log keeps who asked.
    """
    return await _perform(services, service, "restart", caller, body, key=idempotency_key)


@router.post(
    "/recovery/restore/{service}",
    status_code=202,
    summary="Bring a service back from its fallback",
    response_description="It is asked for, and will be done whatever crashes.",
    responses=example(
        RESTART | {"action": "restore", "request_id": "restore:42", "run_id": "restore:42"},
        status=202,
    )
    | problems(404, 409),
)
async def restore_service(
    services: ServicesDependency,
    caller: Operator,
    service: ServiceName,
    body: ManualRecovery | None = None,
    idempotency_key: IdempotencyKey = None,
) -> RecoveryTicket:
    """Carry the service's `restore` out, which undoes its `fallback`; else as a restart."""
    return await _perform(services, service, "restore", caller, body, key=idempotency_key)


async def _perform(
    services: Services,
    service: str,
    action: str,
    caller: Caller,
    body: ManualRecovery | None,
    *,
    key: str | None,
) -> RecoveryTicket:
    wanted = body or ManualRecovery()
    desk = services.recovery_desk
    ticket = await desk.perform(
        service, action, context=wanted.context, actor=caller.name, key=key or str(uuid4())
    )
    outcome = None
    if wanted.wait:
        outcome = await desk.outcome(service, ticket.request_id, within=wanted.wait)
    return RecoveryTicket(
        service=service,
        action=action,
        request_id=ticket.request_id,
        run_id=ticket.run_id,
        status=ticket.status,
        ahead=ticket.ahead,
        outcome=outcome,
    )

"""Owns the routes of circuit breakers: how they stand, the operator's modes, probe leases."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

import structlog
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.authentication import Operator, Reporter, Viewer
from api.breaker_desk import LeaseAnswer, workflow_id
from api.breaker_view import BreakerView, CallsView
from api.dependencies import Epoch, ServiceName, ServicesDependency
from api.documentation import example, problems
from api.durations import WrittenDuration
from api.examples_of_breakers import BREAKER, BREAKERS, FORCED_OPEN, LEASE
from api.incident_desk import Source
from api.listing import Listing
from api.services import Services
from api.temporal import ask
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.lease import LeaseRequest
from holdfast.errors import InvalidInput, NotFound, Unavailable
from storage.outcomes import OutcomeLedger
from workflows.breaker import CircuitBreakerWorkflow

log = structlog.get_logger(__name__)

router = APIRouter(tags=["protection"])

_LONGEST_MODE = timedelta(days=366)


class ModeChange(BaseModel):
    """What an operator wants of a breaker."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"mode": "forced_open", "reason": "the provider is being moved", "for": "30m"},
                {"mode": "metrics_only", "reason": "its thresholds are being tried"},
            ]
        },
    )

    mode: Literal["forced_open", "disabled", "metrics_only"] | None = Field(
        description="forced_open: no call passes; disabled: all pass and none counts; "
        "metrics_only: all pass and count, and nothing comes of it; null: the breaker decides "
        "again."
    )
    reason: str = Field(
        min_length=1,
        max_length=1000,
        description="Why; it goes on the record, and to every process that calls the service.",
        examples=["the provider is being moved"],
    )
    until: AwareDatetime | None = Field(None, description="When it ends by itself.")
    span: WrittenDuration | None = Field(
        None, alias="for", description="In place of `until`: so long from now.", examples=["30m"]
    )

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.until is not None and self.span is not None:
            raise ValueError("expected for or until, or neither to hold it until it is taken back")
        if self.mode is None and (self.until or self.span is not None):
            raise ValueError("a mode that is taken back has no end: leave for and until out")
        return self

    def end(self, now: datetime) -> datetime | None:
        """When it ends by itself; None for never.

        Raises:
            InvalidInput: If that is not within the next year.
        """
        end = now + self.span if self.span is not None else self.until
        if end is not None and not now < end <= now + _LONGEST_MODE:
            raise InvalidInput(
                f"a mode ends within the next {_LONGEST_MODE.days} days, not at {end}",
                field="until" if self.until else "for",
            )
        return end


class LeaseWish(LeaseRequest):
    """A process wants to make one probe call, as the breaker is half-open.

    Asking again with the same `lease_id` gives the same lease.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"lease_id": "5f0e2a-12", "reporter": "channels-7f9c4:31:5f0e2a", "epoch": 9}
            ]
        },
    )

    epoch: Epoch = Field(description="The half-open epoch that it heard of.")


class ProbeLease(BaseModel):
    """Whether a process may make its probe call."""

    granted: bool = Field(description="Whether it may make one call.")
    expires_in: timedelta | None = Field(
        description="How long it has for it, in ISO 8601; none without a lease.",
        examples=["PT9.8S"],
    )
    reason: str = Field(description="Why it may, or may not.")

    @classmethod
    def of(cls, answer: LeaseAnswer) -> Self:
        """A breaker's answer as it is shown."""
        return cls.model_validate(answer.model_dump())


@router.get(
    "/circuit-breakers",
    summary="All circuit breakers",
    response_description="By service.",
    responses=example(BREAKERS),
)
async def list_breakers(services: ServicesDependency, _: Viewer) -> Listing[BreakerView]:
    """List the breakers of all services that the policy file or the record knows."""
    recorded = {each.service: each for each in await services.entities.breakers()}
    known = {name: CircuitBreaker(service=name) for name in services.holder.policy.services}
    breakers = sorted((known | recorded).values(), key=lambda breaker: breaker.service)
    rules = {each.service: _rules(services, each.service) for each in breakers}
    calls = await _calls(services, rules)
    return Listing(
        items=[
            BreakerView.of(
                each, Source.RECORD, rules=rules[each.service], calls=calls.get(each.service)
            )
            for each in breakers
        ]
    )


@router.get(
    "/circuit-breakers/{service}",
    summary="One circuit breaker",
    response_description="The breaker as it is now.",
    responses=example(BREAKER) | problems(404),
)
async def get_breaker(services: ServicesDependency, _: Viewer, service: ServiceName) -> BreakerView:
    """Show a service's breaker; its workflow answers, also with PostgreSQL away."""
    try:
        breaker = await ask(services.client, CircuitBreakerWorkflow.snapshot, workflow_id(service))
        source = Source.WORKFLOW
    except NotFound:
        # Nothing ever opened it: there is no workflow to ask.
        breaker, source = await _untouched(services, service), Source.RECORD
    except Unavailable as error:
        log.info("a breaker is told from its record", service=service, why=str(error))
        breaker, source = await _recorded(services, service), Source.RECORD
    return await _shown(services, breaker, source)


@router.post(
    "/circuit-breakers/{service}/mode",
    summary="Hold a circuit breaker",
    response_description="The breaker with it.",
    responses=example(FORCED_OPEN) | problems(404),
)
async def set_breaker_mode(
    services: ServicesDependency, caller: Operator, service: ServiceName, body: ModeChange
) -> BreakerView:
    """Hold a breaker open, or out of the way, until a time or until it is taken back.

    Every process that calls the service hears of it at once. A breaker that was held open comes
    back by way of probe calls. The audit log keeps who held it, why, and until when.
    """
    breaker = await services.breaker_desk.set_mode(
        service,
        BreakerStatus(body.mode) if body.mode else None,
        by=caller.name,
        reason=body.reason,
        until=body.end(datetime.now(UTC)),
    )
    return await _shown(services, breaker, Source.WORKFLOW)


@router.post(
    "/circuit-breakers/{service}/lease",
    summary="Ask for a probe call",
    response_description="Whether the call may be made.",
    responses=example(LEASE),
)
async def lease_probe(
    services: ServicesDependency, _: Reporter, service: ServiceName, body: LeaseWish
) -> ProbeLease:
    """Ask for the right to make one call while the breaker is half-open.

    A few are given, over all processes that call the service. How the call went is told by
    `POST /outcomes`; a lease of which nothing is heard in time is given to another.
    """
    request = LeaseRequest.model_validate(body.model_dump())
    return ProbeLease.of(await services.breaker_desk.lease(service, request))


async def _shown(services: Services, breaker: CircuitBreaker, source: Source) -> BreakerView:
    rules = _rules(services, breaker.service)
    calls = await _calls(services, {breaker.service: rules})
    return BreakerView.of(breaker, source, rules=rules, calls=calls.get(breaker.service))


def _rules(services: Services, service: str) -> BreakerRules:
    return services.holder.policy.breaker_rules(service)


async def _calls(services: Services, rules: Mapping[str, BreakerRules]) -> Mapping[str, CallsView]:
    """How calls went lately, by service; nothing while the record is away."""
    try:
        windows = await OutcomeLedger(services.engine).windows(rules)
    except Unavailable:
        return {}
    return {
        each.service: CallsView.of(
            each.total, reporters=len(each.by_reporter), rules=rules[each.service]
        )
        for each in windows
    }


async def _untouched(services: Services, service: str) -> CircuitBreaker:
    if service in services.holder.policy.services:
        return CircuitBreaker(service=service)
    return await _recorded(services, service)


async def _recorded(services: Services, service: str) -> CircuitBreaker:
    if found := await services.entities.breaker(service):
        return found
    if service in services.holder.policy.services:
        return CircuitBreaker(service=service)
    raise NotFound(f"neither the policy file nor the record knows a service '{service}'")

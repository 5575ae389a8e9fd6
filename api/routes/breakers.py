"""Owns the routes of circuit breakers: which are open, and since when."""

from typing import Self

import structlog
from fastapi import APIRouter
from pydantic import Field

from api.authentication import Viewer
from api.dependencies import ServiceName, ServicesDependency
from api.documentation import example, problems
from api.examples import BREAKER, BREAKERS
from api.incident_desk import Source
from api.listing import Listing
from api.services import Services
from api.temporal import ask
from holdfast.domain.breaker import CircuitBreaker
from holdfast.errors import NotFound, Unavailable
from workflows.breaker import CircuitBreakerWorkflow

log = structlog.get_logger(__name__)

router = APIRouter(tags=["protection"])


class BreakerView(CircuitBreaker):
    """A service's circuit breaker, and who holds it open."""

    source: Source = Field(
        description="Who answered: the breaker's workflow, or the record, which may be behind."
    )

    @classmethod
    def of(cls, breaker: CircuitBreaker, source: Source) -> Self:
        """A breaker, and who told of it."""
        return cls.model_validate(breaker.model_dump() | {"source": source})


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
    return Listing(items=[BreakerView.of(each, Source.RECORD) for each in breakers])


@router.get(
    "/circuit-breakers/{service}",
    summary="One circuit breaker",
    response_description="The breaker as it is now.",
    responses=example(BREAKER) | problems(404),
)
async def get_breaker(services: ServicesDependency, _: Viewer, service: ServiceName) -> BreakerView:
    """Show a service's breaker; its workflow answers, also with PostgreSQL away."""
    try:
        workflow_id = f"breaker:{service}"
        breaker = await ask(services.client, CircuitBreakerWorkflow.snapshot, workflow_id)
    except NotFound:
        # Nothing ever held it open: there is no workflow to ask.
        return BreakerView.of(await _untouched(services, service), Source.RECORD)
    except Unavailable as error:
        log.info("a breaker is told from its record", service=service, why=str(error))
        return BreakerView.of(await _recorded(services, service), Source.RECORD)
    return BreakerView.of(breaker, Source.WORKFLOW)


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

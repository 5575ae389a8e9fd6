"""Owns the route of degradations: which services serve less now, and why."""

from typing import Self

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from api.authentication import Viewer
from api.dependencies import ServicesDependency
from api.documentation import example
from api.examples_of_breakers import DEGRADED
from api.listing import Listing
from holdfast.domain.degradation import Degradation
from holdfast.domain.holds import Hold

router = APIRouter(tags=["protection"])


class DegradationView(BaseModel):
    """A service that serves less on purpose."""

    service: str = Field(description="The service.")
    level: int = Field(description="How far it is degraded; 1 is the mildest level.")
    name: str = Field(description="The level's name.")
    since: AwareDatetime | None = Field(description="When it came to this level.")
    features_off: list[str] = Field(
        description="What is switched off: this level's, and all below."
    )
    holds: list[Hold] = Field(description="Which incidents want it, and why.")

    @classmethod
    def of(cls, degradation: Degradation) -> Self:
        """A degradation as it is shown."""
        return cls(
            service=degradation.service,
            level=degradation.level,
            name=degradation.levels[degradation.level - 1].name,
            since=degradation.since,
            features_off=list(degradation.features_off),
            holds=list(degradation.holds),
        )


@router.get(
    "/degraded-services",
    summary="The services that are degraded now",
    response_description="By service.",
    responses=example(DEGRADED),
)
async def list_degraded(services: ServicesDependency, _: Viewer) -> Listing[DegradationView]:
    """List who serves less now: the level, since when, why, and which features are off."""
    degraded = await services.entities.degraded()
    return Listing(items=[DegradationView.of(each) for each in degraded])

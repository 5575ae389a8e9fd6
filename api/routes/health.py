"""Owns ``GET /health``: whether Holdfast works, for load balancers and people in a hurry."""

from fastapi import APIRouter, Response, status

from api.dependencies import ServicesDependency
from api.documentation import example
from api.examples import HEALTH, UNHEALTHY
from api.health import PublicHealth

router = APIRouter(tags=["health"])


@router.get(
    "/health",
    summary="Whether Holdfast works",
    response_description="Reports are taken and worked on.",
    responses={
        **example(HEALTH),
        503: {
            "model": PublicHealth,
            "description": "Reports are not worked on.",
            **example(UNHEALTHY, status=503)[503],
        },
    },
)
async def get_health(services: ServicesDependency, response: Response) -> PublicHealth:
    """Ask PostgreSQL, Temporal and the workers for a sign of life, each at most two seconds.

    It is 200 while reports can be taken and worked on: also with PostgreSQL away (`degraded`),
    when they go straight to Temporal and the record is written later. It is 503 without Temporal
    or without a worker; reports are then taken, but wait. What is wrong with a part, `GET /status`
    tells. The answer is kept for a second.
    """
    health = await services.health.health()
    if not health.is_working:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    response.headers["Cache-Control"] = "no-store"
    return PublicHealth.model_validate(health)

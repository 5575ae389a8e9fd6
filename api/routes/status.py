"""Owns ``GET /status``: every component in detail."""

from fastapi import APIRouter

from api.authentication import Viewer
from api.dependencies import ServicesDependency
from api.documentation import example
from api.examples import STATUS
from api.status import Status, status_of

router = APIRouter(tags=["health"])


@router.get(
    "/status",
    summary="Every component in detail",
    response_description="Everything, as this process sees it.",
    responses=example(STATUS),
)
async def get_status(services: ServicesDependency, _: Viewer) -> Status:
    """Show the processes, the policy they follow, what waits, and what is under way.

    It is answered with PostgreSQL away too: `record` is then empty, and `record_problem` says why.
    """
    return await status_of(services)

"""Owns what routes depend on: the process's services, and the forms of ids, epochs and pages."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import Field

from api.services import Services
from holdfast.domain.model import Name


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDependency = Annotated[Services, Depends(_services)]

IncidentId = Annotated[
    str,
    # Nothing but this may go into a query of Temporal's list.
    Path(
        pattern=r"^[0-9A-Za-z-]{1,64}$",
        description="The incident's id.",
        examples=["01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"],
    ),
]
ServiceName = Annotated[
    Name, Path(description="The service, as the policy file names it.", examples=["channels"])
]
# As far as JavaScript counts, and well within PostgreSQL's integers.
Epoch = Annotated[int, Field(ge=0, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at the most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="Where the page begins: the `cursor` of the page before."),
]

"""Owns the routes of the policy file: what it says, and its reload."""

import re
from contextlib import suppress

from fastapi import APIRouter
from pydantic import BaseModel, Field, JsonValue

from api.authentication import Operator, Viewer
from api.dependencies import ServicesDependency
from api.documentation import example
from api.examples import CONFIGURATION, RELOADED
from api.problems import FieldProblem, InvalidFields
from config.policy import Change
from holdfast.errors import ConfigurationError, Unavailable

router = APIRouter(tags=["administration"])

_LINE = re.compile(r"(?P<place>.+?:\d+): (?:(?P<path>[\w.-]+): )?(?P<message>.+)")


class PolicyView(BaseModel):
    """The active policy file."""

    path: str = Field(description="Where the file is.", examples=["/etc/holdfast/holdfast.yaml"])
    hash: str = Field(
        description="Processes with the same hash follow the same policy.",
        examples=["3f2a9c0d1e4b"],
    )
    policy: dict[str, JsonValue] = Field(
        description="What it says, defaults included. Secrets are references in it: `${NAME}`."
    )


class Reloaded(BaseModel):
    """What a reload changed."""

    hash: str = Field(description="The new policy's hash.", examples=["3f2a9c0d1e4b"])
    changes: list[Change] = Field(description="Each difference; none if nothing changed.")


@router.get(
    "/config",
    summary="The active policy",
    response_description="What this process follows.",
    responses=example(CONFIGURATION),
)
async def get_configuration(services: ServicesDependency, _: Viewer) -> PolicyView:
    """Show what the policy file says, as this process read it; without secrets."""
    return PolicyView.model_validate(services.holder.current.describe())


@router.post(
    "/config/reload",
    summary="Reload the policy file",
    response_description="All processes were told to follow.",
    responses=example(RELOADED),
)
async def reload_configuration(services: ServicesDependency, caller: Operator) -> Reloaded:
    """Read the policy file again, here and in every process; the difference goes on the record.

    A broken file changes nothing: the answer is 422 with every problem in it. Open incidents keep
    the plan that they began with.
    """
    try:
        changes = await services.reload.reload(actor=caller.name)
    except ConfigurationError as error:
        raise InvalidFields(
            "the policy file is broken; the present policy stays active", errors=problems_of(error)
        ) from error
    with suppress(Unavailable):
        # So that the others see it at once; the next heartbeat tells it anyway.
        await services.presence.beat()
    return Reloaded(hash=services.holder.current.hash, changes=list(changes))


def problems_of(error: ConfigurationError) -> list[FieldProblem]:
    """Each line of a policy file's refusal, as a wrong field."""
    return [_problem(line) for line in str(error).splitlines()]


def _problem(line: str) -> FieldProblem:
    if found := _LINE.fullmatch(line):
        message = f"{found['place']}: {found['message']}"
        return FieldProblem(field=found["path"] or "", message=message)
    return FieldProblem(field="", message=line)

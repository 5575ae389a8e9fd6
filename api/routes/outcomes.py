"""Owns the route on which processes tell how their guarded calls go."""

from fastapi import APIRouter
from pydantic import ConfigDict, Field, field_validator

from api.authentication import Reporter
from api.dependencies import Epoch, ServicesDependency
from holdfast.domain.outcome import REPORTS, OutcomeBatch, ProbeResult, ServiceOutcomes

router = APIRouter(tags=["protection"])


class CallSums(ServiceOutcomes):
    """The calls of one service since the last telling, summed."""

    model_config = ConfigDict(extra="forbid")

    epoch: Epoch = Field(description="The breaker's epoch in which they were admitted.")


class Probe(ProbeResult):
    """How the call for which a lease was given went."""

    model_config = ConfigDict(extra="forbid")

    epoch: Epoch = Field(description="The half-open epoch in which the lease was given.")


class Telling(OutcomeBatch):
    """What a process tells of its guarded calls."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "reporter": "channels-7f9c4:31:5f0e2a",
                    "outcomes": [
                        {"service": "payments", "epoch": 4, "calls": 118, "failures": 3, "slow": 7}
                    ],
                    "probes": [
                        {"service": "ingest", "epoch": 9, "lease_id": "5f0e2a-12", "passed": True}
                    ],
                }
            ]
        },
    )

    outcomes: tuple[CallSums, ...] = Field((), max_length=1000, description="By service.")
    probes: tuple[Probe, ...] = Field((), max_length=1000, description="Told at once.")

    @field_validator("reporter")
    @classmethod
    def _is_a_process(cls, reporter: str) -> str:
        if reporter == REPORTS:
            raise ValueError(f"{REPORTS} stands for reported errors; name the process otherwise")
        return reporter


@router.post(
    "/outcomes",
    status_code=204,
    summary="Tell how guarded calls go",
    response_description="Taken.",
)
async def tell_outcomes(
    telling: Telling,
    services: ServicesDependency,
    _: Reporter,
) -> None:
    """Take the sums of a process's guarded calls since it last told, and how its probes went.

    A process tells them about once a second, and a probe at once. Nothing is kept for long:
    outcomes that could not be told within seconds are best forgotten.
    """
    services.outcome_book.take(telling)
    services.probe_relay.pass_on(telling.probes)

"""Owns the attempt: one try of a recovery step, as its incident keeps it."""

from enum import StrEnum

from pydantic import AwareDatetime

from holdfast.domain.model import Model
from holdfast.domain.strategy import StepKind


class AttemptStatus(StrEnum):
    """How an attempt of a recovery step ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class Attempt(Model):
    """One attempt of one step, as the incident keeps it.

    Attributes:
        number: 1 for the step's first attempt; ``of`` is how many it has.
    """

    step: StepKind
    action: str
    number: int
    of: int
    status: AttemptStatus = AttemptStatus.RUNNING
    reason: str = ""
    started_at: AwareDatetime
    finished_at: AwareDatetime | None = None

    def __str__(self) -> str:
        count = f" (attempt {self.number} of {self.of})" if self.of > 1 else ""
        return f"{self.action}{count}: {self.status}" + (f", {self.reason}" if self.reason else "")

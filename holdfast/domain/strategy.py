"""Owns the strategy: the ordered recovery steps of a category, and the delays between attempts."""

from datetime import timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from holdfast.domain.model import Duration, Model, Name


class StepKind(StrEnum):
    """What a step does."""

    RETRY = "retry"
    RESTART = "restart"
    FALLBACK = "fallback"
    DEGRADE = "degrade"
    OPEN_BREAKER = "open_breaker"
    RUN_WORKFLOW = "run_workflow"
    ESCALATE = "escalate"
    IGNORE = "ignore"

    @property
    def uses_action(self) -> bool:
        """Whether the step asks the service to do something."""
        return self in {self.RETRY, self.RESTART, self.FALLBACK, self.RUN_WORKFLOW}


class Backoff(Model):
    """Exponential delays with jitter between the attempts of a step.

    Attributes:
        jitter: How much a delay varies, as a share of it: 0.2 draws from 80 % to 120 %.
    """

    initial: Duration = timedelta(seconds=1)
    factor: float = Field(default=2.0, ge=1.0, le=10.0)
    maximum: Duration = timedelta(minutes=1)
    jitter: float = Field(default=0.2, ge=0.0, le=1.0)

    def delay(self, retry: int, *, drawn: float) -> timedelta:
        """The delay before a retry.

        Args:
            retry: 1 for the first attempt after the first.
            drawn: A uniform random number in [0, 1); the caller draws it.
        """
        # The exponent is capped because 10.0 ** 400 overflows, long after the maximum is reached.
        grown = self.initial.total_seconds() * self.factor ** min(retry - 1, 64)
        steady = min(grown, self.maximum.total_seconds())
        return timedelta(seconds=steady * (1 + self.jitter * (2 * drawn - 1)))


class Step(Model):
    """One step of a strategy.

    Attributes:
        step: What it does.
        action: Which of the service's actions it asks for; its own name when not given.
        level: For ``degrade``: the degradation level to enter.
        attempts: How often it is tried before the next step's turn.
        backoff: The delays between its attempts.
        timeout: For an attempt's action, until the service has answered; the action's own when not
            given.
        settle: How long no new report of the fingerprint may come before it counts as a success.
    """

    step: StepKind
    action: Name | None = None
    level: int = Field(1, ge=1, le=20)
    attempts: int = Field(1, ge=1, le=50)
    backoff: Backoff = Backoff()
    timeout: Duration | None = None
    settle: Duration = timedelta(seconds=5)

    @model_validator(mode="after")
    def _run_workflow_names_its_action(self) -> Self:
        if self.step is StepKind.RUN_WORKFLOW and self.action is None:
            raise ValueError("a run_workflow step names the service's action that runs it: action")
        return self

    @property
    def action_name(self) -> str:
        """The service's action that the step asks for."""
        return self.action or self.step.value


Strategy = tuple[Step, ...]

_RETRY = Step(step=StepKind.RETRY, attempts=3, backoff=Backoff(initial=timedelta(seconds=2)))
_RESTART = Step(step=StepKind.RESTART, attempts=2, backoff=Backoff(initial=timedelta(seconds=5)))
_FALLBACK = Step(step=StepKind.FALLBACK)
_OPEN_BREAKER = Step(step=StepKind.OPEN_BREAKER, settle=timedelta(seconds=30))
_DEGRADE = Step(step=StepKind.DEGRADE, settle=timedelta(seconds=30))
_ESCALATE = Step(step=StepKind.ESCALATE)
_IGNORE = Step(step=StepKind.IGNORE)

# What is done about each built-in category until the policy file says otherwise. A step whose
# action a service doesn't have is passed over.
STRATEGIES: dict[str, Strategy] = {
    "stream_failure": (_RESTART, _FALLBACK),
    "rtmp_connection": (_RETRY, _RESTART, _FALLBACK),
    "network": (_RETRY, _OPEN_BREAKER),
    "timeout": (_RETRY, _OPEN_BREAKER, _DEGRADE),
    "database": (_RETRY, _DEGRADE),
    "storage": (_RETRY, _FALLBACK),
    "external_service": (_RETRY, _OPEN_BREAKER, _FALLBACK),
    "api": (_RETRY, _RESTART),
    "authentication": (_RETRY,),
    "authorization": (_ESCALATE,),
    "validation": (_IGNORE,),
    "configuration": (_ESCALATE,),
    "resource_exhaustion": (_DEGRADE, _RESTART),
    "dependency": (_RETRY, _OPEN_BREAKER, _DEGRADE),
    "unknown": (_RETRY,),
}

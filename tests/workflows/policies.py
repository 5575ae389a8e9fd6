"""Policies for the workflows' tests: small, and with delays that only skipped time can pass."""

from datetime import timedelta

from holdfast.domain.action import HealthCheck, HttpAction
from holdfast.domain.channel import WebhookChannel
from holdfast.domain.degradation import DegradationLevel
from holdfast.domain.escalation import EscalationLevel, EscalationPolicy, Target
from holdfast.domain.policy import CategoryPolicy, Escalation, Policy, Service
from holdfast.domain.report import Report
from holdfast.domain.strategy import Backoff, Step, StepKind, Strategy

RESTART = Step(step=StepKind.RESTART, attempts=2, backoff=Backoff(initial=timedelta(seconds=5)))
FALLBACK = Step(step=StepKind.FALLBACK)
LEVELS = ("first", "second", "third")


def ladder(
    *, repeat: int = 0, hold: timedelta = timedelta(minutes=2), wait: timedelta | None = None
) -> EscalationPolicy:
    """Three levels of one target each."""
    return EscalationPolicy(
        levels=tuple(
            EscalationLevel(
                targets=(Target(channel=name),), escalate_after=wait or timedelta(minutes=10)
            )
            for name in LEVELS
        ),
        repeat=repeat,
        hold_page_for=hold,
    )


def policy_for(
    service: str,
    *steps: Step,
    escalation: EscalationPolicy | None = None,
    health: bool = True,
    quiet: timedelta = timedelta(hours=4),
) -> Policy:
    """A policy with one service, whose ``unknown`` errors get the given steps."""
    strategy: Strategy = steps
    url = "http://127.0.0.1:1/{context.channel}"
    return Policy(
        services={
            service: Service(
                health=HealthCheck(url=f"{url}/health") if health else None,
                actions={name: HttpAction(url=f"{url}/{name}") for name in ("restart", "fallback")},
                degradation=(DegradationLevel(name="lean", features_off=("hd", "chat")),),
            )
        },
        categories={"unknown": CategoryPolicy(strategy=strategy)},
        escalation=Escalation(policies={"default": escalation} if escalation else {}),
        channels={
            name: WebhookChannel(kind="webhook", url="http://127.0.0.1:1/") for name in LEVELS
        },
        resolve_after_quiet=quiet,
    )


def report_of(service: str, message: str = "it broke") -> Report:
    """A report of an unknown error."""
    return Report(
        service=service, error_type="Broken", message=message, context={"channel": "news"}
    )

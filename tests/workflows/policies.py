"""Policies for the workflows' tests: small, and with delays that only skipped time can pass."""

from datetime import date, timedelta
from typing import Any

from holdfast.domain.action import HealthCheck, HttpAction
from holdfast.domain.channel import EmailChannel, WebhookChannel
from holdfast.domain.degradation import DegradationLevel
from holdfast.domain.escalation import Escalation, EscalationLevel, EscalationPolicy
from holdfast.domain.person import Contact, Person
from holdfast.domain.policy import CategoryPolicy, Policy, Service
from holdfast.domain.report import Report
from holdfast.domain.schedule import Rotation, Schedule
from holdfast.domain.strategy import Backoff, Step, StepKind, Strategy
from holdfast.domain.target import Target

RESTART = Step(step=StepKind.RESTART, attempts=2, backoff=Backoff(initial=timedelta(seconds=5)))
FALLBACK = Step(step=StepKind.FALLBACK)
ESCALATE = Step(step=StepKind.ESCALATE)
LEVELS = ("first", "second", "third")
ADA, BOB, CAROL = (Target(person=name) for name in ("ada", "bob", "carol"))
ON_CALL = Target(schedule="primary")


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


def paging(
    *levels: tuple[Target, ...], wait: timedelta = timedelta(minutes=10), **fields: Any
) -> EscalationPolicy:
    """People, level by level and at once; Ada and then Bob when none are given."""
    return EscalationPolicy(
        levels=tuple(
            EscalationLevel(targets=targets, escalate_after=wait)
            for targets in levels or ((ADA,), (BOB,))
        ),
        **({"hold_page_for": timedelta(0)} | fields),
    )


def policy_for(
    service: str,
    *steps: Step,
    escalation: EscalationPolicy | Escalation | None = None,
    depends_on: tuple[str, ...] = (),
    health: bool = True,
    quiet: timedelta = timedelta(hours=4),
) -> Policy:
    """A policy with one service, whose ``unknown`` errors get the given steps."""
    strategy: Strategy = steps
    url = "http://127.0.0.1:1/{context.channel}"
    if isinstance(escalation, EscalationPolicy):
        escalation = Escalation(policies={"default": escalation})
    mail = EmailChannel(kind="email", host="127.0.0.1", sender="holdfast@example.org")
    return Policy(
        services={
            **{other: Service() for other in depends_on},
            service: Service(
                depends_on=depends_on,
                health=HealthCheck(url=f"{url}/health") if health else None,
                actions={name: HttpAction(url=f"{url}/{name}") for name in ("restart", "fallback")},
                degradation=(DegradationLevel(name="lean", features_off=("hd", "chat")),),
            ),
        },
        categories={"unknown": CategoryPolicy(strategy=strategy)},
        escalation=escalation or Escalation(),
        channels={"mail": mail}
        | {name: WebhookChannel(kind="webhook", url="http://127.0.0.1:1/") for name in LEVELS},
        people={
            name: Person(contacts=(Contact(channel="mail", to=f"{name}@example.org"),))
            for name in ("ada", "bob", "carol")
        },
        schedules={
            "primary": Schedule(layers=(Rotation(people=("ada",), starts_on=date(2026, 1, 1)),))
        },
        resolve_after_quiet=quiet,
    )


def report_of(service: str, message: str = "it broke") -> Report:
    """A report of an unknown error."""
    return Report(
        service=service, error_type="Broken", message=message, context={"channel": "news"}
    )

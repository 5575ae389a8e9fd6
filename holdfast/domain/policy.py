"""Owns the policy, the content of ``holdfast.yaml``, and the plan that an incident pins from it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from holdfast.domain.action import Command, CommandAction, HealthCheck, RecoveryAction
from holdfast.domain.channel import Channel, SlackChannel
from holdfast.domain.classification import SEVERITIES, Classification, Rule, classify
from holdfast.domain.degradation import DegradationLevel
from holdfast.domain.escalation import (
    EscalationChoice,
    EscalationPolicy,
    EscalationRule,
    choose_policy,
)
from holdfast.domain.model import Duration, Model, Name
from holdfast.domain.recovery import RecoveryLimit
from holdfast.domain.report import Category, Report
from holdfast.domain.severity import Severity
from holdfast.domain.strategy import STRATEGIES, Step, StepKind, Strategy


class Service(Model):
    """A service that Holdfast looks after.

    Attributes:
        actions: How it does a restart, a fallback, a restore, a retry, by the step's name.
        strategies: Its own strategies, by category, before those of ``categories``.
        limit: How many automatic actions it may have within a window.
        degradation: Its levels, the mildest first.
    """

    description: str = ""
    health: HealthCheck | None = None
    actions: dict[Name, RecoveryAction] = Field(default_factory=dict)
    strategies: dict[Category, Strategy] = Field(default_factory=dict)
    limit: RecoveryLimit = RecoveryLimit()
    degradation: tuple[DegradationLevel, ...] = ()


class CategoryPolicy(Model):
    """What is done about a category; what is left out stays as built in."""

    severity: Severity | None = None
    strategy: Strategy | None = None


class Escalation(Model):
    """Who is paged: the policies, and the rules that choose among them."""

    policies: dict[Name, EscalationPolicy] = Field(default_factory=dict)
    rules: tuple[EscalationRule, ...] = ()


class Policy(Model):
    """All that ``holdfast.yaml`` says.

    Attributes:
        commands: The programs that actions may run; nothing else can be.
        resolve_after_quiet: An open incident without a new report for this long is resolved, if
            its service's health check passes or it has none.
    """

    version: Literal[1] = 1
    services: dict[Name, Service] = Field(default_factory=dict)
    commands: dict[Name, Command] = Field(default_factory=dict)
    categories: dict[Category, CategoryPolicy] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    escalation: Escalation = Escalation()
    channels: dict[Name, Channel] = Field(default_factory=dict)
    resolve_after_quiet: Duration = timedelta(hours=4)

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        if problems := list(self._dangling()):
            raise ValueError("; ".join(problems))
        return self

    def _dangling(self) -> Iterator[str]:
        yield from self._dangling_in_escalation()
        for name, service in self.services.items():
            yield from self._dangling_in_service(name, service)
        known = SEVERITIES.keys() | self.categories.keys()
        for rule in self.rules:
            if rule.category not in known:
                yield f"rules.{rule.name}: no category {rule.category!r}; add it to categories"

    def _dangling_in_escalation(self) -> Iterator[str]:
        for number, rule in enumerate(self.escalation.rules):
            if rule.policy not in self.escalation.policies:
                yield f"escalation.rules.{number}.policy: no policy {rule.policy!r}"
        for name, policy in self.escalation.policies.items():
            for place, level in enumerate(policy.levels):
                for target in level.targets:
                    path = f"escalation.policies.{name}.levels.{place}.targets"
                    channel = self.channels.get(target.channel)
                    if channel is None:
                        yield f"{path}: no channel {target.channel!r}"
                    elif isinstance(channel, SlackChannel) and not (target.to or channel.to):
                        yield f"{path}: Slack needs an address: to"

    def _dangling_in_service(self, name: str, service: Service) -> Iterator[str]:
        for action_name, action in service.actions.items():
            if isinstance(action, CommandAction) and action.command not in self.commands:
                yield f"services.{name}.actions.{action_name}: no command {action.command!r}"
        for category, strategy in service.strategies.items():
            for place, step in enumerate(strategy):
                path = f"services.{name}.strategies.{category}.{place}"
                if step.action and step.action not in service.actions:
                    yield f"{path}: {name} has no action {step.action!r}"
                if step.step is StepKind.DEGRADE and step.level > len(service.degradation):
                    yield f"{path}: {name} has no degradation level {step.level}"

    def strategy(self, service: str, category: str) -> tuple[Step, ...]:
        """The steps for a category of a service: its own, the file's, or the built-in ones."""
        own = self.services.get(service, Service()).strategies.get(category)
        given = self.categories.get(category, CategoryPolicy()).strategy
        built_in = STRATEGIES.get(category, STRATEGIES["unknown"])
        return next(each for each in (own, given, built_in) if each is not None)

    def plan(self, report: Report) -> "Plan":
        """Decide everything about a new incident, from its first report.

        An unknown service gets the default policy, without health check or actions.
        """
        severities = {name: each.severity for name, each in self.categories.items()}
        classification = classify(
            report,
            rules=self.rules,
            severities={name: given for name, given in severities.items() if given},
        )
        return Plan(
            service=self.services.get(report.service, Service()),
            known_service=report.service in self.services,
            classification=classification,
            strategy=self.strategy(report.service, classification.category),
            escalation=choose_policy(
                service=report.service,
                classification=classification,
                rules=self.escalation.rules,
                policies=self.escalation.policies,
            ),
            resolve_after_quiet=self.resolve_after_quiet,
        )


class Plan(Model):
    """What an incident will follow, pinned at its start; a later reload does not change it.

    Attributes:
        known_service: Whether the policy file knew the service.
        escalation: None when nobody will be paged.
    """

    service: Service = Service()
    known_service: bool
    classification: Classification
    strategy: Strategy
    escalation: EscalationChoice | None
    resolve_after_quiet: Duration

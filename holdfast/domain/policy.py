"""Owns the policy, the content of ``holdfast.yaml``, and the plan that an incident pins from it."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from holdfast.domain.action import Command, CommandAction, HealthCheck, RecoveryAction
from holdfast.domain.channel import Channel, SlackChannel
from holdfast.domain.classification import SEVERITIES, Classification, classify
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
from holdfast.domain.rule import Rule
from holdfast.domain.severity import Severity
from holdfast.domain.strategy import STRATEGIES, Step, StepKind, Strategy
from holdfast.domain.template import placeholders


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


class Dangling(NamedTuple):
    """A name in the policy that leads nowhere, with the way to it."""

    path: tuple[str | int, ...]
    problem: str

    def __str__(self) -> str:
        return f"{'.'.join(str(part) for part in self.path)}: {self.problem}"


def _missing(noun: str, name: str, known: Iterable[str]) -> str:
    return f"no {noun} {name!r}{did_you_mean(name, known)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give the known name that a wrong one may stand for, as an ending for a message."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


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
        if found := list(self._dangling()):
            # Not a ValueError: whoever shows these to people wants each with its own line.
            summary = "; ".join(str(each) for each in found)
            raise PydanticCustomError("dangling", "{summary}", {"summary": summary, "found": found})
        return self

    def _dangling(self) -> Iterator[Dangling]:
        yield from self._dangling_policies()
        yield from self._dangling_targets()
        yield from self._dangling_categories()
        for name, service in self.services.items():
            yield from self._dangling_in_actions(name, service)
            yield from self._dangling_in_strategies(name, service)

    def _dangling_policies(self) -> Iterator[Dangling]:
        known = self.escalation.policies
        for number, rule in enumerate(self.escalation.rules):
            if rule.policy not in known:
                path = ("escalation", "rules", number, "policy")
                yield Dangling(path, _missing("policy", rule.policy, known))

    def _dangling_targets(self) -> Iterator[Dangling]:
        for name, policy in self.escalation.policies.items():
            for place, level in enumerate(policy.levels):
                levels = ("escalation", "policies", name, "levels", place)
                for number, target in enumerate(level.targets):
                    path = (*levels, "targets", number, "channel")
                    channel = self.channels.get(target.channel)
                    if channel is None:
                        yield Dangling(path, _missing("channel", target.channel, self.channels))
                    elif isinstance(channel, SlackChannel) and not (target.to or channel.to):
                        yield Dangling(path, "Slack needs an address, here or in the channel: to")

    def _dangling_categories(self) -> Iterator[Dangling]:
        known = SEVERITIES.keys() | self.categories.keys()
        used: list[tuple[tuple[str | int, ...], str]] = [
            (("rules", number, "category"), rule.category) for number, rule in enumerate(self.rules)
        ]
        used += [
            (("escalation", "rules", number, "category"), category)
            for number, rule in enumerate(self.escalation.rules)
            for category in rule.category
        ]
        used += [
            (("services", name, "strategies", category), category)
            for name, service in self.services.items()
            for category in service.strategies
        ]
        for path, category in used:
            if category not in known:
                missing = _missing("category", category, known)
                yield Dangling(path, f"{missing}; one of your own goes into categories")

    def _dangling_in_actions(self, name: str, service: Service) -> Iterator[Dangling]:
        for action_name, action in service.actions.items():
            path = ("services", name, "actions", action_name)
            if isinstance(action, CommandAction) and action.command not in self.commands:
                missing = _missing("command", action.command, self.commands)
                yield Dangling((*path, "command"), missing)
            yield from _unknown_fields(path, action.model_dump_json(exclude={"headers"}))
        if service.health:
            yield from _unknown_fields(("services", name, "health", "url"), service.health.url)

    def _dangling_in_strategies(self, name: str, service: Service) -> Iterator[Dangling]:
        for category, strategy in service.strategies.items():
            for place, step in enumerate(strategy):
                path = ("services", name, "strategies", category, place)
                if step.action and step.action not in service.actions:
                    missing = _missing("action", step.action, service.actions)
                    yield Dangling((*path, "action"), f"{name} has {missing}")
                if step.step is StepKind.DEGRADE and step.level > len(service.degradation):
                    problem = f"{name} has no degradation level {step.level}"
                    yield Dangling((*path, "level"), problem)

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


def _unknown_fields(path: tuple[str | int, ...], templates: str) -> Iterator[Dangling]:
    known = Report.model_fields.keys() | {"incident"}
    for asked in placeholders(templates):
        field = asked.partition(".")[0]
        if field not in known:
            yield Dangling(path, f"{{{asked}}}: a report has {_missing('field', field, known)}")


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

    @property
    def is_ignored(self) -> bool:
        """Whether nothing is to be done: neither recovery nor a page, only counting."""
        return bool(self.strategy) and self.strategy[0].step is StepKind.IGNORE

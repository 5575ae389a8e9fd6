"""Owns the policy, the content of ``holdfast.yaml``, and the plan that an incident pins from it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from holdfast.domain.action import Command, CommandAction, HealthCheck, RecoveryAction
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.channel import Channel
from holdfast.domain.classification import SEVERITIES, Classification, classify
from holdfast.domain.degradation import DegradationLevel
from holdfast.domain.escalation import Circumstances, Escalation, EscalationChoice, PinnedEscalation
from holdfast.domain.intake_sources import IntakeSources
from holdfast.domain.model import Duration, Model, Name
from holdfast.domain.person import Person
from holdfast.domain.reach import Reach
from holdfast.domain.recovery import RecoveryLimit
from holdfast.domain.references import Dangling, Place, circles, missing
from holdfast.domain.report import Category, Report
from holdfast.domain.rule import Rule
from holdfast.domain.schedule import Schedule
from holdfast.domain.severity import Severity
from holdfast.domain.strategy import STRATEGIES, Step, StepKind, Strategy
from holdfast.domain.template import placeholders
from holdfast.domain.throttle import Bundling


class Service(Model):
    """A service that Holdfast looks after.

    Attributes:
        actions: How it does a restart, a fallback, a restore, a retry, by the step's name.
        strategies: Its own strategies, by category, before those of ``categories``.
        limit: How many automatic actions it may have within a window.
        breaker: When calls to it are stopped and how they return; built in when not given.
        degradation: Its levels, the mildest first.
        depends_on: The services that it can't do without: while one of them has an incident that
            people are paged for, this one's pages are held back.
    """

    description: str = ""
    health: HealthCheck | None = None
    actions: dict[Name, RecoveryAction] = Field(default_factory=dict)
    strategies: dict[Category, Strategy] = Field(default_factory=dict)
    limit: RecoveryLimit = RecoveryLimit()
    breaker: BreakerRules | None = None
    degradation: tuple[DegradationLevel, ...] = ()
    depends_on: tuple[Name, ...] = Field((), max_length=100)


class CategoryPolicy(Model):
    """What is done about a category; what is left out stays as built in."""

    severity: Severity | None = None
    strategy: Strategy | None = None


class Policy(Model):
    """All that ``holdfast.yaml`` says.

    Attributes:
        commands: The programs that actions may run; nothing else can be.
        intake: How what other systems tell of becomes reports.
        resolve_after_quiet: An open incident without a new report for this long is resolved, if
            its service's health check passes or it has none.
    """

    version: Literal[1] = 1
    services: dict[Name, Service] = Field(default_factory=dict)
    commands: dict[Name, Command] = Field(default_factory=dict)
    categories: dict[Category, CategoryPolicy] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    intake: IntakeSources = IntakeSources()
    escalation: Escalation = Escalation()
    bundling: Bundling = Bundling()
    people: dict[Name, Person] = Field(default_factory=dict)
    schedules: dict[Name, Schedule] = Field(default_factory=dict)
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
        reach = Reach(
            escalation=self.escalation,
            people=self.people,
            schedules=self.schedules,
            channels=self.channels,
        )
        yield from reach.dangling()
        yield from self._dangling_categories()
        yield from self._dangling_dependencies()
        for name, service in self.services.items():
            yield from self._dangling_in_actions(name, service)
            yield from self._dangling_in_strategies(name, service)

    def _dangling_dependencies(self) -> Iterator[Dangling]:
        for name, service in self.services.items():
            for number, other in enumerate(service.depends_on):
                if other not in self.services:
                    problem = missing("service", other, self.services)
                    yield Dangling(("services", name, "depends_on", number), problem)
        for circle in circles({name: each.depends_on for name, each in self.services.items()}):
            first, second, *_ = circle
            way = self.services[first].depends_on.index(second)
            yield Dangling(("services", first, "depends_on", way), _circular(circle))

    def _dangling_categories(self) -> Iterator[Dangling]:
        known = SEVERITIES.keys() | self.categories.keys()
        used: list[tuple[Place, str]] = [
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
                problem = missing("category", category, known)
                yield Dangling(path, f"{problem}; one of your own goes into categories")

    def _dangling_in_actions(self, name: str, service: Service) -> Iterator[Dangling]:
        for action_name, action in service.actions.items():
            path = ("services", name, "actions", action_name)
            if isinstance(action, CommandAction) and action.command not in self.commands:
                problem = missing("command", action.command, self.commands)
                yield Dangling((*path, "command"), problem)
            yield from _unknown_fields(path, action.model_dump_json(exclude={"headers"}))
        if service.health:
            yield from _unknown_fields(("services", name, "health", "url"), service.health.url)

    def _dangling_in_strategies(self, name: str, service: Service) -> Iterator[Dangling]:
        for category, strategy in service.strategies.items():
            for place, step in enumerate(strategy):
                path = ("services", name, "strategies", category, place)
                if step.action and step.action not in service.actions:
                    problem = missing("action", step.action, service.actions)
                    yield Dangling((*path, "action"), f"{name} has {problem}")
                if step.step is StepKind.DEGRADE and step.level > len(service.degradation):
                    problem = f"{name} has no degradation level {step.level}"
                    yield Dangling((*path, "level"), problem)

    def strategy(self, service: str, category: str) -> tuple[Step, ...]:
        """The steps for a category of a service: its own, the file's, or the built-in ones."""
        own = self.services.get(service, Service()).strategies.get(category)
        given = self.categories.get(category, CategoryPolicy()).strategy
        built_in = STRATEGIES.get(category, STRATEGIES["unknown"])
        return next(each for each in (own, given, built_in) if each is not None)

    def breaker_rules(self, service: str) -> BreakerRules:
        """The rules of a service's breaker: its own, or those built in."""
        return self.services.get(service, Service()).breaker or BreakerRules()

    @property
    def longest_window(self) -> timedelta:
        """How far back calls count for any service."""
        own = (service.breaker for service in self.services.values())
        return max(rules.window for rules in (BreakerRules(), *own) if rules)

    def plan(self, report: Report, *, at: datetime) -> "Plan":
        """Decide everything about a new incident, from its first report.

        An unknown service gets the default policy, without health check or actions.

        Args:
            report: The report.
            at: The present moment: rules may ask for the time of the day.
        """
        severities = {name: each.severity for name, each in self.categories.items()}
        classification = classify(
            report,
            rules=self.rules,
            severities={name: given for name, given in severities.items() if given},
        )
        book = self.escalation.pinned(service=report.service, category=classification.category)
        circumstances = Circumstances(
            service=report.service,
            category=classification.category,
            severity=classification.severity,
        )
        return Plan(
            service=self.services.get(report.service, Service()),
            known_service=report.service in self.services,
            classification=classification,
            strategy=self.strategy(report.service, classification.category),
            escalation=book.choice(at, circumstances),
            book=book,
            resolve_after_quiet=self.resolve_after_quiet,
        )


def _circular(circle: tuple[str, ...]) -> str:
    if circle == (circle[0],) * 2:
        return f"{circle[0]} depends on itself, so that its incidents would hold its pages back"
    told = f"the dependencies go round in a circle: {' -> '.join(circle)}"
    return f"{told}; each would hold the other's pages back, and nobody would be paged"


def _unknown_fields(path: Place, templates: str) -> Iterator[Dangling]:
    known = Report.model_fields.keys() | {"incident"}
    for asked in placeholders(templates):
        field = asked.partition(".")[0]
        if field not in known:
            yield Dangling(path, f"{{{asked}}}: a report has {missing('field', field, known)}")


class Plan(Model):
    """What an incident will follow, pinned at its start; a later reload does not change it.

    Attributes:
        known_service: Whether the policy file knew the service.
        escalation: Whom it pages to begin with; None for nobody.
        book: Whom it may come to page: the rules are asked again as it goes on.
    """

    service: Service = Service()
    known_service: bool
    classification: Classification
    strategy: Strategy
    escalation: EscalationChoice | None
    book: PinnedEscalation = PinnedEscalation()
    resolve_after_quiet: Duration

    @property
    def is_ignored(self) -> bool:
        """Whether nothing is to be done: neither recovery nor a page, only counting."""
        return bool(self.strategy) and self.strategy[0].step is StepKind.IGNORE

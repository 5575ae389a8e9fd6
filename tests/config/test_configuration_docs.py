"""docs/configuration.md says of each key what the models say, and its examples are valid."""

import re
from datetime import time, timedelta
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from config.policy import parse
from config.settings import Settings
from holdfast.domain import (
    action,
    breaker_rules,
    channel,
    degradation,
    escalation,
    frequency,
    hours,
    intake_sources,
    person,
    policy,
    recovery,
    rule,
    schedule,
    strategy,
    target,
    throttle,
)
from holdfast.domain.classification import SEVERITIES
from holdfast.domain.report import Report
from holdfast.domain.status_codes import StatusCodes
from holdfast.domain.strategy import STRATEGIES, StepKind
from holdfast.domain.template import placeholders

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()

MODELS = {
    "The file": policy.Policy,
    "A service": policy.Service,
    "Health": action.HealthCheck,
    "An action over HTTP": action.HttpAction,
    "An action by command": action.CommandAction,
    "An action by workflow": action.WorkflowAction,
    "Limit": recovery.RecoveryLimit,
    "A breaker": breaker_rules.BreakerRules,
    "Degradation": degradation.DegradationLevel,
    "A command": action.Command,
    "A category": policy.CategoryPolicy,
    "A step": strategy.Step,
    "Backoff": strategy.Backoff,
    "A rule": rule.Rule,
    "Match": rule.Match,
    "Intake": intake_sources.IntakeSources,
    "Alertmanager": intake_sources.AlertmanagerSource,
    "Sentry": intake_sources.SentrySource,
    "Escalation": escalation.Escalation,
    "An escalation policy": escalation.EscalationPolicy,
    "A level": escalation.EscalationLevel,
    "A target": target.Target,
    "An escalation rule": escalation.EscalationRule,
    "Frequencies": frequency.Threshold,
    "Hours": hours.Hours,
    "Bundling": throttle.Bundling,
    "A person": person.Person,
    "A contact": person.Contact,
    "A schedule": schedule.Schedule,
    "A rotation": schedule.Rotation,
    "An override": schedule.Override,
    "Slack": channel.SlackChannel,
    "Webhook": channel.WebhookChannel,
    "PagerDuty": channel.PagerDutyChannel,
    "Email": channel.EmailChannel,
    "SMS": channel.SmsChannel,
    "Apprise": channel.AppriseChannel,
    "A channel's limit": throttle.Limit,
}
# What all channels have is told once; a kind's own section says where it differs.
SHARED = {"Channels": channel.SlackChannel.__base__}


def section(heading):
    """What stands between a heading and the next."""
    (_, found) = re.split(rf"^#+ {re.escape(heading)}\n", PAGE, flags=re.MULTILINE)
    return re.split(r"^#+ ", found, flags=re.MULTILINE)[0]


def table(heading, first):
    """The rows of a section's table whose header begins with a word; cells without backticks."""
    rows = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n?)+)", section(heading), re.MULTILINE)
    cells = [row.strip("| ").split(" | ") for row in rows.group(1).splitlines()]
    return [[cell.strip().strip("`") for cell in row] for row in cells]


def duration_as_written(duration):
    for unit, length in {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}.items():
        if duration and not duration % timedelta(seconds=length):
            return f"{duration // timedelta(seconds=length)}{unit}"
    return f"{duration // timedelta(milliseconds=1)}ms"


def as_written(value):
    """A plain value as people write it."""
    match value:
        case timedelta():
            return duration_as_written(value)
        case time():
            return f"{value:%H:%M}"
        case bool():
            return str(value).lower()
        case hours.EVERY_DAY:
            return "every day"
        case (str(), *_):
            return ", ".join(value)
        case _:
            return str(value)


def default(name, field):
    """A field's default as the page gives it."""
    if field.is_required() or name == "kind":
        return "required"
    match field.get_default(call_default_factory=True):
        case None | "" | () | {}:
            return "none"
        case StatusCodes() as codes:
            return str(codes) or "none"
        case BaseModel() | (BaseModel(), *_):
            return "see below"
        case (float(), *_) as shares:
            return f"[{', '.join(map(str, shares))}]"
        case value:
            return as_written(value)


def own_fields(model):
    """What can be given, in its order, without what a model has as its base has it."""
    own = (name for name in model.__annotations__ if name in model.model_fields)
    fields = {name: model.model_fields[name] for name in own}
    return {name: each for name, each in fields.items() if each.annotation is not type(None)}


@pytest.mark.parametrize("heading", MODELS | SHARED)
def test_every_key_is_there_with_its_default(heading):
    """In the order of the model, and no key that the model lacks."""
    documented = [(row[0], row[1]) for row in table(heading, "key")]
    fields = own_fields((MODELS | SHARED)[heading]).items()
    assert documented == [(name, default(name, field)) for name, field in fields]


def reachable(kind, seen):
    """Every model that a policy can hold."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind not in seen:
            seen.add(kind)
            for field in kind.model_fields.values():
                reachable(field.annotation, seen)
    else:
        for inner in get_args(kind):
            reachable(inner, seen)
    return seen


def test_no_part_of_the_file_is_left_out():
    """A new model needs a section of its own."""
    assert reachable(policy.Policy, set()) - {StatusCodes} == set(MODELS.values())


def test_the_built_in_categories_are_as_documented():
    """Severity and strategy of each."""
    documented = {row[0]: (row[1], row[2]) for row in table("A category", "category")}
    assert documented == {
        category: (severity.value, ", ".join(step.step for step in STRATEGIES[category]))
        for category, severity in SEVERITIES.items()
    }


def test_every_step_is_explained():
    """A step that nobody knows of is not used."""
    assert [row[0] for row in table("A step", "step")] == list(StepKind)


def test_the_templates_are_ones_that_reports_have():
    """What may be named is a report's field or the incident's."""
    named = {path.partition(".")[0] for path in placeholders(section("Templates"))}
    assert named - {"incident"} <= Report.model_fields.keys()


def test_the_settings_are_as_documented():
    """Each variable with its default."""
    documented = {row[0]: row[1] for row in table("Settings", "variable")}
    assert documented == {
        f"HOLDFAST_{name.upper()}": default(name, field)
        for name, field in Settings.model_fields.items()
    }


SNIPPETS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: text.partition(":")[0])
def test_the_examples_are_valid(snippet):
    """Whoever copies one starts with a file that is read."""
    assert parse(snippet)


def test_links_within_the_page_lead_somewhere():
    """A heading's anchor is its words in small letters, with dashes."""
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors

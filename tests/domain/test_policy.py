"""What the policy file means, and which of its names lead nowhere."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from holdfast.domain.policy import Plan, Policy
from holdfast.domain.report import Report
from holdfast.domain.severity import Severity
from holdfast.domain.strategy import STRATEGIES, Step

POLICY = {
    "services": {
        "channels": {
            "health": {"url": "http://a.example/{context.channel}/health"},
            "actions": {
                "restart": {"kind": "http", "url": "http://a.example/{context.channel}/restart"},
                "reboot": {"kind": "command", "command": "reboot", "arguments": ["{incident.id}"]},
            },
            "strategies": {
                "timeout": [{"step": "restart"}],
                "billing": [{"step": "restart", "action": "reboot"}, {"step": "degrade"}],
            },
            "degradation": [{"name": "mild", "features_off": ["chat"]}],
        }
    },
    "commands": {"reboot": {"argv": ["reboot"]}},
    "categories": {
        "billing": {"severity": "critical", "strategy": [{"step": "escalate"}]},
        "api": {"severity": "low"},
        "network": {"strategy": []},
    },
    "rules": [{"name": "money", "match": {"message": "invoice"}, "category": "billing"}],
    "escalation": {
        "policies": {
            "default": {"levels": [{"targets": [{"channel": "slack"}]}]},
            "night": {"levels": [{"targets": [{"channel": "hook", "to": "x"}]}]},
        },
        "rules": [{"policy": "night", "severity": ["critical"], "category": ["billing"]}],
    },
    "channels": {
        "slack": {"kind": "slack", "token": "${SLACK_TOKEN}", "to": "#ops"},
        "hook": {"kind": "webhook", "url": "http://a.example/hook"},
    },
}


def with_change(path, value):
    """The policy with one thing changed; what isn't given is removed."""
    change = {}
    place, source = change, POLICY
    *way, last = path.split("/")
    place |= source
    for part in way:
        key = int(part) if isinstance(place, list) else part
        copy = list(place[key]) if isinstance(place[key], list) else dict(place[key])
        place[key] = copy
        place = copy
    place[int(last) if isinstance(place, list) else last] = value
    return change


def planned(**fields):
    fields = {"service": "channels", "error_type": "Oops", "message": "it failed"} | fields
    return Policy.model_validate(POLICY).plan(Report.model_validate(fields))


def test_a_plan_pins_everything_that_an_incident_follows():
    """Classification, strategy, escalation and quiet, with what decided each."""
    plan = planned(message="no invoice")
    assert plan.known_service
    assert plan.classification.category == "billing"
    assert plan.classification.severity is Severity.CRITICAL
    assert [step.action_name for step in plan.strategy] == ["reboot", "degrade"]
    assert plan.escalation.name == "night"
    assert plan.resolve_after_quiet == timedelta(hours=4)


def test_a_plan_survives_a_message():
    """It is carried by the incident's workflow until its end."""
    plan = planned(message="no invoice")
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("service", "category", "steps"),
    [
        ("channels", "timeout", (Step(step="restart"),)),
        ("other", "timeout", STRATEGIES["timeout"]),
        ("other", "billing", (Step(step="escalate"),)),
        ("channels", "api", STRATEGIES["api"]),
        ("channels", "network", ()),
        ("channels", "never_heard_of", STRATEGIES["unknown"]),
    ],
)
def test_the_nearest_strategy_is_followed(service, category, steps):
    """The service's own, the category's, the built-in one; an empty one is one too."""
    assert Policy.model_validate(POLICY).strategy(service, category) == steps


def test_a_services_severity_of_a_category_is_the_files():
    """A category keeps its built-in strategy when only its severity is given."""
    assert planned(category="api").classification.severity is Severity.LOW


def test_an_unknown_service_is_paged_for_but_not_touched():
    """Its errors matter, though nobody said how to recover it."""
    plan = planned(service="stranger", error_type="TimeoutError")
    assert not plan.known_service
    assert not plan.service.actions
    assert plan.service.health is None
    assert plan.escalation.name == "default"


def test_an_ignored_error_is_only_counted():
    """A strategy that begins with ``ignore`` wants neither recovery nor a page."""
    assert planned(category="validation").is_ignored
    assert not planned(category="timeout").is_ignored
    assert not planned(category="network").is_ignored


def test_the_empty_policy_is_valid():
    """Everything is built in, and nobody is paged."""
    plan = Policy().plan(Report(service="a", error_type="TimeoutError", message="x"))
    assert (plan.escalation, plan.strategy) == (None, STRATEGIES["timeout"])


DANGLING = [
    ("escalation/rules/0/policy", "nite", "no policy 'nite'; did you mean 'night'?"),
    ("escalation/rules/0/category", ["biling"], "no category 'biling'; did you mean 'billing'?"),
    (
        "escalation/policies/night/levels/0/targets/0/channel",
        "pager",
        "no channel 'pager'",
    ),
    ("rules/0/category", "money", "no category 'money'"),
    (
        "services/channels/strategies/storrage",
        [],
        "no category 'storrage'; did you mean 'storage'?",
    ),
    (
        "services/channels/strategies/timeout/0/action",
        "restrat",
        "channels has no action 'restrat'; did you mean 'restart'?",
    ),
    ("services/channels/strategies/billing/1/level", 2, "channels has no degradation level 2"),
    ("services/channels/actions/reboot/command", "rm", "no command 'rm'"),
]


@pytest.mark.parametrize(("path", "value", "problem"), DANGLING)
def test_a_name_that_leads_nowhere_is_refused_with_its_place(path, value, problem):
    """It would otherwise be noticed in the night that needs it."""
    with pytest.raises(ValidationError) as refusal:
        Policy.model_validate(with_change(path, value))
    (found,) = refusal.value.errors()[0]["ctx"]["found"]
    assert "/".join(map(str, found.path)) == path
    assert found.problem.startswith(problem)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("services/channels/health/url", "http://a.example/{contxt.channel}"),
        ("services/channels/actions/restart/url", "http://a.example/{contxt.channel}"),
        ("services/channels/actions/restart/body", {"a": ["{contxt.channel}"]}),
        ("services/channels/actions/reboot/arguments", ["{contxt.channel}"]),
    ],
)
def test_a_template_that_names_no_field_of_a_report_is_refused(path, template):
    """Every recovery would fail for want of it."""
    with pytest.raises(
        ValidationError, match="a report has no field 'contxt'; did you mean 'context'"
    ):
        Policy.model_validate(with_change(path, template))


def test_slack_needs_an_address_somewhere():
    """The target's, or else the channel's."""
    slack = {"kind": "slack", "token": "${SLACK_TOKEN}"}
    with pytest.raises(ValidationError, match="Slack needs an address"):
        Policy.model_validate(with_change("channels/slack", slack))
    change = with_change("channels/slack", slack)
    target = [{"channel": "slack", "to": "#ops"}]
    change["escalation"] = with_change("escalation/policies/default/levels", [{"targets": target}])[
        "escalation"
    ]
    assert Policy.model_validate(change)


def test_all_that_leads_nowhere_is_said_at_once():
    """Nobody wants to correct a file one error at a time."""
    change = with_change("rules/0/category", "money")
    change["escalation"] = with_change("escalation/rules/0/policy", "nite")["escalation"]
    with pytest.raises(
        ValidationError, match=r"escalation\.rules\.0\.policy: .*; rules\.0\.category: "
    ):
        Policy.model_validate(change)

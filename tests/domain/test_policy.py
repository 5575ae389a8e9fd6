"""What the policy file means, and which of its names lead nowhere."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from holdfast.domain.policy import Plan, Policy
from holdfast.domain.report import Report
from holdfast.domain.severity import Severity
from holdfast.domain.strategy import STRATEGIES, Step

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

POLICY = {
    "services": {
        "database": {},
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
            "depends_on": ["database"],
        },
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
            "night": {
                "levels": [
                    {"targets": [{"channel": "hook"}, {"person": "ada"}, {"schedule": "weekly"}]}
                ],
                "only_during": "night",
            },
        },
        "rules": [
            {
                "policy": "night",
                "severity": ["critical"],
                "category": ["billing"],
                "occurrences": "1 within 5m",
                "incidents": {"count": 1, "within": "1h"},
            },
            {"policy": "night", "category": ["billing"]},
            {"raise_severity": "high", "during": "night"},
        ],
        "hours": {"night": {"starts": "22:00", "ends": "07:00"}},
    },
    "people": {
        "ada": {
            "contacts": [{"channel": "sms", "to": "+15550100001"}, {"channel": "slack"}],
            "fallback": "grace",
        },
        "grace": {"contacts": [{"channel": "mail", "to": "grace@example.com, ops@localhost"}]},
    },
    "schedules": {
        "weekly": {
            "layers": [{"people": ["ada", "grace"], "starts_on": "2026-01-05"}],
            "overrides": [
                {
                    "person": "grace",
                    "starts_at": "2026-12-24T09:00:00Z",
                    "ends_at": "2026-12-27T09:00:00Z",
                }
            ],
        },
    },
    "channels": {
        "slack": {"kind": "slack", "token": "${SLACK_TOKEN}", "to": "#ops", "fallback": "hook"},
        "hook": {"kind": "webhook", "url": "http://a.example/hook", "fallback": "pager"},
        "sms": {
            "kind": "sms",
            "account_sid": "${SID}",
            "auth_token": "${TOKEN}",
            "sender": "+15550100000",
        },
        "mail": {"kind": "email", "host": "mail.example", "sender": "holdfast@example.com"},
        "pager": {"kind": "pagerduty", "routing_key": "${ROUTING_KEY}"},
        "others": {"kind": "apprise", "urls": ["${URL}"]},
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


def refused(policy):
    """What leads nowhere in a policy."""
    with pytest.raises(ValidationError) as refusal:
        Policy.model_validate(policy)
    return refusal.value.errors()[0]["ctx"]["found"]


def planned(**fields):
    fields = {"service": "channels", "error_type": "Oops", "message": "it failed"} | fields
    return Policy.model_validate(POLICY).plan(Report.model_validate(fields), at=NOW)


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
    plan = Policy().plan(Report(service="a", error_type="TimeoutError", message="x"), at=NOW)
    assert (plan.escalation, plan.strategy) == (None, STRATEGIES["timeout"])


DANGLING = [
    ("escalation/rules/0/policy", "nite", "no policy 'nite'; did you mean 'night'?"),
    ("escalation/rules/0/category", ["biling"], "no category 'biling'; did you mean 'billing'?"),
    (
        "escalation/policies/night/levels/0/targets/0/channel",
        "phone",
        "no channel 'phone'",
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
    ("services/channels/depends_on/0", "databse", "no service 'databse'; did you mean 'database'?"),
    ("services/channels/depends_on/0", "channels", "channels depends on itself, so that "),
    ("escalation/policies/night/levels/0/targets/1/person", "eda", "no person 'eda'; did you mean"),
    ("escalation/policies/night/levels/0/targets/2/schedule", "daily", "no schedule 'daily'"),
    ("escalation/policies/night/only_during", "nite", "no hours 'nite'; did you mean 'night'?"),
    ("escalation/rules/2/during", "day", "no hours 'day'"),
    ("people/ada/contacts/0/channel", "msm", "no channel 'msm'; did you mean 'sms'?"),
    ("people/ada/fallback", "bob", "no person 'bob'"),
    ("people/ada/fallback", "ada", "ada is its own fallback"),
    ("schedules/weekly/layers/0/people/1", "bob", "no person 'bob'"),
    ("schedules/weekly/overrides/0/person", "bob", "no person 'bob'"),
    ("channels/slack/fallback", "hok", "no channel 'hok'; did you mean 'hook'?"),
    ("channels/slack/fallback", "sms", "'sms' has no address of its own to take over with"),
    ("channels/slack/fallback", "slack", "slack is its own fallback"),
]


@pytest.mark.parametrize(("path", "value", "problem"), DANGLING)
def test_a_name_that_leads_nowhere_is_refused_with_its_place(path, value, problem):
    """It would otherwise be noticed in the night that needs it."""
    [found] = refused(with_change(path, value))
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


TARGET = "escalation/policies/night/levels/0/targets/0"
PHONE = "expected a phone number with its country code, such as +15551234567, got "
MAILBOX = "expected an address such as ada@example.com, or several with commas between them, got "


@pytest.mark.parametrize(
    ("channel", "to", "problem"),
    [
        ("sms", None, 'missing, here and in the channel; give an address such as "+15551234567"'),
        ("mail", None, "missing, here and in the channel; give an address such as ada@example.com"),
        ("sms", "0170 1234567", f"{PHONE}'0170 1234567'"),
        ("sms", "+0170123456", f"{PHONE}'+0170123456'"),
        ("sms", "+1234567890123456", f"{PHONE}'+1234567890123456'"),
        ("mail", "ada", f"{MAILBOX}'ada'"),
        ("mail", "ada@example.com,", f"{MAILBOX}''"),
        ("mail", "ada@example.com, Lin <lin@example.com>", f"{MAILBOX}'Lin <lin@example.com>'"),
        ("mail", "ada@example..com", f"{MAILBOX}'ada@example..com'"),
        ("hook", "x", "a channel of kind webhook takes no address; remove it"),
        ("pager", "x", "a channel of kind pagerduty takes no address; remove it"),
        ("others", "x", "a channel of kind apprise takes no address; remove it"),
    ],
)
@pytest.mark.parametrize("path", [TARGET, "people/grace/contacts/0"])
def test_an_address_that_leads_nowhere_is_refused(path, channel, to, problem):
    """A target's or a contact's: a page would be lost on it."""
    [found] = refused(with_change(path, {"channel": channel, "to": to}))
    assert "/".join(map(str, found.path)) == f"{path}/to"
    assert found.problem == problem


def test_slack_needs_an_address_somewhere():
    """The target's, or else the channel's."""
    slack = {"kind": "slack", "token": "${SLACK_TOKEN}"}
    change = with_change("channels/slack", slack)
    assert [".".join(map(str, found.path)) for found in refused(change)] == [
        "escalation.policies.default.levels.0.targets.0.to",
        "people.ada.contacts.1.to",
    ]
    assert Policy.model_validate(with_change("channels/slack", slack | {"to": "#ops"}))


def test_a_channels_own_address_is_checked_once_and_there():
    """Whoever relies on it is not told again."""
    mail = POLICY["channels"]["mail"] | {"to": "ops"}
    change = with_change("channels/mail", mail)
    change["people"] = with_change("people/grace/contacts/0", {"channel": "mail"})["people"]
    [found] = refused(change)
    assert found.path == ("channels", "mail", "to")


@pytest.mark.parametrize(
    ("section", "key", "told"),
    [
        ("services", "depends_on", "the dependencies go round in a circle: a -> b -> c -> a; each"),
        ("people", "fallback", "the fallbacks go round in a circle: a -> b -> c -> a; one has to "),
        ("channels", "fallback", "the fallbacks go round in a circle: a -> b -> c -> a; one has "),
    ],
)
def test_a_circle_is_told_once_and_whole(section, key, told):
    """Two services that hold each other's pages back would page nobody."""
    rest = {
        "services": {},
        "people": {"contacts": [{"channel": "hook"}]},
        "channels": {"kind": "webhook", "url": "http://a.example"},
    }[section]
    links = {"start": "a", "a": "b", "b": "c", "c": "a"}
    entries = {
        name: rest | {key: [to] if key == "depends_on" else to} for name, to in links.items()
    }
    change = POLICY | {section: POLICY[section] | entries}
    [found] = refused(change)
    assert found.path[:3] == (section, "a", key)
    assert found.problem.startswith(told)


@pytest.mark.parametrize(
    ("times", "good"),
    [
        ({"acknowledgement_timeout": "5m"}, False),
        ({"acknowledgement_timeout": "5m", "remind_before": "1m"}, True),
        ({"acknowledgement_timeout": "5m", "remind_before": "0s"}, True),
        ({"acknowledgement_timeout": "0s"}, True),
        ({"remind_before": "2h"}, False),
        ({"remind_before": "1h"}, False),
    ],
)
def test_a_reminder_comes_before_the_acknowledgement_is_taken_back(times, good):
    """None is promised that never comes; nothing is taken back with 0s."""
    default = POLICY["escalation"]["policies"]["default"]
    change = with_change("escalation/policies/default", default | times)
    if good:
        assert Policy.model_validate(change)
    else:
        [found] = refused(change)
        assert found.path == ("escalation", "policies", "default", "acknowledgement_timeout")
        assert found.problem.startswith("not longer than remind_before")


def test_all_that_leads_nowhere_is_said_at_once():
    """Nobody wants to correct a file one error at a time."""
    change = with_change("rules/0/category", "money")
    change["escalation"] = with_change("escalation/rules/0/policy", "nite")["escalation"]
    with pytest.raises(
        ValidationError, match=r"escalation\.rules\.0\.policy: .*; rules\.0\.category: "
    ):
        Policy.model_validate(change)

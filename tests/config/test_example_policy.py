"""holdfast.yaml, with which a checkout runs as it is."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.policy import load, missing_secrets, parse
from holdfast.domain.report import Report

FILE = Path(__file__).parents[2] / "holdfast.yaml"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def planned(**fields):
    fields = {"service": "channels", "message": "x", "context": {"channel": "news"}} | fields
    return load(FILE).policy.plan(Report.model_validate(fields), at=NOW)


def test_it_runs_without_any_environment_variable():
    """Nothing has to be set before the first start."""
    assert missing_secrets(load(FILE).policy, {}) == []


def test_it_is_short_enough_to_be_read():
    """It is the first thing that a newcomer edits."""
    assert len(FILE.read_text().splitlines()) <= 110


def test_what_is_commented_out_can_be_put_in():
    """An example that fails when it is tried teaches the wrong thing."""
    text = FILE.read_text()
    uncommented = re.sub(
        r"^( *)# (secret:|breaker:|- channel: slack|slack:|  kind: slack|  token:|  to:)",
        r"\1\2",
        text,
        flags=re.MULTILINE,
    )
    policy = parse(uncommented)
    assert [each.path for each in missing_secrets(policy, {})] == [
        "services.channels.actions.restart.secret",
        "channels.slack.token",
    ]
    assert policy.breaker_rules("channels").failure_rate == 0.3


@pytest.mark.parametrize(
    ("error_type", "category", "steps"),
    [
        ("StreamProcessDied", "stream_failure", ["restart", "fallback"]),
        ("NoFrames", "stream_failure", ["restart", "fallback"]),
        ("RtmpConnectionRefused", "rtmp_connection", ["restart", "fallback"]),
        ("RtmpConnectionLost", "rtmp_connection", ["restart", "fallback"]),
    ],
)
def test_the_example_services_errors_are_recovered_by_its_actions(error_type, category, steps):
    """The file and examples/channels belong together."""
    plan = planned(error_type=error_type)
    assert plan.classification.category == category
    assert [step.action_name for step in plan.strategy] == steps
    assert all(step.action_name in plan.service.actions for step in plan.strategy)


def test_an_error_without_a_rule_follows_the_default_policy():
    """Two levels, after recovery had its chance."""
    escalation = planned(error_type="Oops").escalation
    assert (escalation.name, len(escalation.policy.levels)) == ("default", 2)
    assert escalation.hold_page_for


def test_a_critical_error_pages_at_once():
    """The one escalation rule."""
    assert not planned(error_type="MemoryError").escalation.hold_page_for


def test_its_rule_is_met():
    """The one classification rule, with a category of one's own."""
    plan = planned(error_type="Oops", message="viewers report stuttering")
    assert plan.classification.category == "playback_quality"
    assert plan.classification.severity == "low"

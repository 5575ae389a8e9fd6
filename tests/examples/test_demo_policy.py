"""The demo's policy file: what its stories rely on."""

from datetime import UTC, datetime, timedelta

import pytest

from config.policy import load, missing_secrets
from examples.channels.picture import HD_TRANSCODE, PREVIEWS
from examples.channels.settings import ChannelConfig, Feed
from examples.demo.stage import CHANNELS, LEVELS, PERSON, POLICY, write_policy
from examples.demo.stories import breaker, escalation
from holdfast.domain.channel import ChannelKind
from holdfast.domain.directory import display_name, find_person
from holdfast.domain.outcome import Outcomes, verdict
from holdfast.domain.report import Report
from holdfast.domain.strategy import StepKind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def policy(tmp_path):
    return load(
        write_policy(tmp_path, studio="http://127.0.0.1:1", slack="http://127.0.0.1:2/api/")
    ).policy


def test_the_policy_file_is_good_as_it_stands():
    """Also without the demo, for whoever copies it."""
    load(POLICY)


def test_the_written_policy_has_the_addresses_of_this_time(policy):
    assert policy.channels["slack"].base_url == "http://127.0.0.1:2/api/"
    service = policy.services["channels"]
    urls = [service.health.url, *(action.url for action in service.actions.values())]
    assert all(url.startswith("http://127.0.0.1:1/channels/") for url in urls)


def reached(policy, target):
    """Where in Slack a target is reached; a schedule's only rotation has one person."""
    if target.schedule is None:
        return target.to
    (layer,) = policy.schedules[target.schedule].layers
    (person,) = layer.people
    return policy.people[person].contacts[0].to


def test_the_policy_pages_the_levels_that_the_stories_expect(policy):
    levels = policy.escalation.policies["default"].levels
    assert tuple(reached(policy, each) for level in levels for each in level.targets) == LEVELS


def test_the_policy_knows_those_who_click_and_not_the_newcomer(policy):
    """Whoever resolves in Slack and whoever asks for a restart over the API is the same person."""
    grace = find_person(policy, ChannelKind.SLACK, escalation.GRACE)
    assert grace == PERSON
    assert display_name(policy.people, grace) == escalation.GRACES_NAME
    assert find_person(policy, ChannelKind.SLACK, escalation.LINUS)
    assert find_person(policy, ChannelKind.SLACK, escalation.NEWCOMER) is None


def test_pages_of_the_fifth_story_do_not_wait_for_those_of_the_fourth(policy):
    """Both are of one service and go to the same people, within the default's two minutes."""
    assert policy.bundling.within == timedelta(0)


def test_every_action_is_signed(policy):
    missing = {each.reference for each in missing_secrets(policy, {})}
    assert missing == {
        "${CHANNELS_ACTION_SECRET}",
        "${SLACK_BOT_TOKEN}",
        "${SLACK_SIGNING_SECRET}",
    }
    assert all(action.secret for action in policy.services["channels"].actions.values())


@pytest.mark.parametrize(
    ("error_type", "category"),
    [
        ("StreamProcessDied", "stream_failure"),
        ("RtmpConnectionLost", "rtmp_connection"),
        ("RtmpConnectionRefused", "rtmp_aftermath"),
        ("NoFrames", "stream_failure"),
    ],
)
def test_each_fault_of_a_channel_has_its_category(policy, error_type, category):
    report = Report(service="channels", error_type=error_type, message="channel news is off")
    assert policy.plan(report, at=NOON).classification.category == category


def test_a_lost_ingest_of_films_has_a_strategy_of_its_own(policy):
    """It serves less first, as far as the third story says, and then goes on trying."""
    labels = {"channel": breaker.CHANNEL}
    report = Report(
        service="channels", error_type="RtmpConnectionLost", message="films is off", labels=labels
    )
    plan = policy.plan(report, at=NOON)
    degrade, restart = plan.strategy
    assert (degrade.step, restart.step) == (StepKind.DEGRADE, StepKind.RESTART)
    levels = plan.service.degradation[: degrade.level]
    assert [name for level in levels for name in level.features_off] == breaker.SWITCHED_OFF
    assert set(breaker.SWITCHED_OFF) == {HD_TRANSCODE, PREVIEWS}


@pytest.mark.parametrize("feed", list(Feed))
@pytest.mark.parametrize("channel", CHANNELS)
def test_the_breaker_of_each_ingest_takes_more_than_one_action_to_open(policy, channel, feed):
    """Or the second story would not be true: a restart fails before the fallback's turn."""
    rules = policy.breaker_rules(ChannelConfig.ingest_of(channel, feed))
    passed, failed = Outcomes(calls=1), Outcomes(calls=1, failures=1)
    assert not verdict(rules, {"channels": failed})
    assert not verdict(rules, {"channels": passed + failed})
    assert verdict(rules, {"channels": passed + failed + failed})
    assert rules.leases == 1, "a publish is its own probe"

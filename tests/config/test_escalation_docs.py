"""The worked policy of docs/escalation.md is one, and does what the page says."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.calendars import Calendars
from activities.page_holds import PageHolds
from activities.roster import Roster
from api.simulation import Simulator
from config.policy import parse
from config.secrets import Secrets
from holdfast.domain.page import HoldKind
from holdfast.domain.report import Report

PAGE = Path(__file__).parents[2] / "docs" / "escalation.md"
SUNDAY_NIGHT = datetime(2026, 3, 1, 3, tzinfo=UTC)


class Nothing:
    """No silence, and no other incident."""

    def holding(self, *, service, category, labels, at):
        return None

    async def escalating_of(self, services, *, besides):
        return None


def blocks():
    return re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def simulate():
    policy = parse(blocks()[0], "docs/escalation.md")
    calendars = Calendars(secrets=Secrets({}), http=None)
    roster = Roster(policy=lambda: policy, calendars=calendars)
    holds = PageHolds(silences=Nothing(), incidents=Nothing())
    simulator = Simulator(policy, roster=roster, holds=holds)

    async def run(service, *, occurrences=1, incidents=1, **fields):
        report = Report(service=service, error_type="Oops", message="it broke", **fields)
        return await simulator.run(
            report, at=SUNDAY_NIGHT, occurrences=occurrences, incidents=incidents
        )

    return run


@pytest.mark.parametrize("block", range(len(blocks())))
def test_every_policy_shown_is_valid(block):
    parse(blocks()[block], "docs/escalation.md")


async def test_the_night_goes_as_it_is_told(simulate):
    """Two minutes for recovery, then Ada, over Slack and a minute later over SMS; then all."""
    night = await simulate("checkout")
    chance, first, second, *_ = night.steps
    assert chance.hold.kind is HoldKind.RECOVERY
    assert first.at == SUNDAY_NIGHT + timedelta(minutes=2)
    [ada] = first.told
    assert ada.who == "Ada Lovelace (on call: primary)"
    ways = [(str(each.contact.channel), each.at - first.at) for each in ada.contacts]
    assert ways == [
        ("slack", timedelta()),
        ("sms", timedelta(minutes=1)),
        ("email", timedelta(minutes=3)),
    ]
    assert second.at == SUNDAY_NIGHT + timedelta(minutes=7)
    assert [each.who for each in second.told] == [ada.who, "Lin Chen", "slack"]


async def test_three_incidents_in_an_hour_are_loud(simulate):
    """Everybody at once, without a chance for recovery."""
    loud = await simulate("checkout", incidents=3)
    assert loud.policy == "loud"
    assert loud.steps[0].at == SUNDAY_NIGHT
    assert [each.who for each in loud.steps[0].told][1:] == ["Lin Chen", "pagerduty"]


async def test_a_storm_raises_the_severity(simulate):
    assert (await simulate("database", occurrences=50, severity="medium")).severity == "high"


async def test_previews_wait_for_the_office(simulate):
    """Monday, nine o'clock in Berlin."""
    patient = await simulate("previews", severity="low")
    held = next(step for step in patient.steps if step.hold.kind is HoldKind.HOURS)
    assert held.hold.until == datetime(2026, 3, 2, 8, tzinfo=UTC)

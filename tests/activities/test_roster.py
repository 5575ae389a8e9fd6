"""Who is behind a target now, by the present policy and its calendars."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from activities.calendars import Calendars
from activities.roster import Roster
from holdfast.domain.target import Target
from holdfast.errors import NotFound

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
PRIMARY = Target(schedule="primary")
CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:1
DTSTART:20260303T090000Z
DTEND:20260303T180000Z
SUMMARY:On call: Grace Hopper
END:VEVENT
END:VCALENDAR
"""
LAYERS = {"layers": [{"people": ["ada", "grace"], "starts_on": "2026-03-02"}]}
OVERRIDE = {
    "person": "ada",
    "starts_at": "2026-03-03T11:00:00Z",
    "ends_at": "2026-03-03T13:00:00Z",
}


@pytest.fixture
def policy(make_policy):
    def policy(**schedules):
        return make_policy(
            channels={"chat": {"kind": "slack", "token": "${SLACK_TOKEN}"}},
            people={
                "ada": {"name": "Ada Lovelace", "contacts": [{"channel": "chat", "to": "ada"}]},
                "grace": {"name": "Grace Hopper", "contacts": [{"channel": "chat", "to": "grace"}]},
            },
            schedules=schedules,
        )

    return policy


@pytest.fixture
def opened(secrets, http, policy):
    @asynccontextmanager
    async def opened(**schedules):
        calendars = Calendars(secrets=secrets, http=http, now=lambda: NOW)
        present = policy(**schedules)
        yield Roster(policy=lambda: present, calendars=calendars)
        await calendars.close()

    return opened


@pytest.fixture
def calendar(tmp_path):
    path = tmp_path / "on-call.ics"
    path.write_text(CALENDAR)
    return f"file:{path}"


def utc(day, hour):
    return datetime(2026, 3, day, hour, tzinfo=UTC)


async def test_a_schedule_is_whoever_is_on_call_and_until_when(opened):
    """The incident looks again when the shift ends."""
    async with opened(primary=LAYERS) as roster:
        found, ends_at = await roster.recipient(PRIMARY, at=NOW)
    assert found.who == "Ada Lovelace (on call: primary)"
    assert [hop.contact.to for hop in found.hops] == ["ada"]
    assert ends_at == utc(9, 9)


async def test_a_calendar_says_who_is_on_call(opened, calendar):
    async with opened(primary={"calendar": calendar}) as roster:
        found, ends_at = await roster.recipient(PRIMARY, at=NOW)
    assert (found.who, ends_at) == ("Grace Hopper (on call: primary)", utc(3, 18))


async def test_in_a_gap_the_problem_says_until_when(opened, calendar):
    """Then the incident looks again."""
    async with opened(primary={"calendar": calendar}) as roster:
        found, ends_at = await roster.recipient(PRIMARY, at=utc(3, 8))
    assert found.hops == ()
    assert found.problem == (
        "nobody is on call in the schedule 'primary' until 09:00 UTC on 2026-03-03"
    )
    assert ends_at == utc(3, 9)


async def test_a_broken_calendar_is_the_recipients_problem(opened):
    """No error: the next level must hear of it."""
    async with opened(primary={"calendar": "file:/nowhere.ics"}) as roster:
        found, _ = await roster.recipient(PRIMARY, at=NOW)
    assert found.hops == ()
    assert "the schedule 'primary': the calendar file /nowhere.ics can't be read" in found.problem


async def test_an_override_holds_without_the_calendar(opened):
    """Whoever was put on call by hand needs no feed."""
    broken = {"calendar": "file:/nowhere.ics", "overrides": [OVERRIDE]}
    async with opened(primary=broken) as roster:
        found, ends_at = await roster.recipient(PRIMARY, at=NOW)
        [on_call] = await roster.now_and_next(NOW)
    assert (found.who, ends_at) == ("Ada Lovelace (on call: primary)", utc(3, 13))
    assert (on_call.now.person, on_call.next) == ("ada", None)
    assert "/nowhere.ics" in on_call.problem


@pytest.mark.parametrize(
    "target", [Target(person="ada"), Target(channel="chat", to="ada"), Target(schedule="gone")]
)
async def test_other_targets_have_no_end(opened, target):
    """People and channels stay who they are; what is gone is said, not awaited."""
    async with opened() as roster:
        found, ends_at = await roster.recipient(target, at=NOW)
    assert ends_at is None
    assert bool(found.hops) is (target.schedule is None)
    assert bool(found.problem) is (target.schedule is not None)


async def test_every_schedule_has_a_now_and_a_next(opened, calendar):
    """In the policy's order; one that is broken does not keep the others back."""
    async with opened(
        primary=LAYERS,
        broken={"calendar": "file:/nowhere.ics"},
        secondary={"calendar": calendar},
    ) as roster:
        primary, broken, secondary = await roster.now_and_next(NOW)
    assert (primary.schedule, primary.now.person, primary.next.person) == (
        "primary",
        "ada",
        "grace",
    )
    assert primary.next.starts_at == primary.now.ends_at == utc(2, 9) + timedelta(weeks=1)
    assert (broken.now.person, broken.now.ends_at, broken.next) == (None, None, None)
    assert "/nowhere.ics" in broken.problem
    assert (secondary.now.person, secondary.next.person) == ("grace", None)


async def test_a_schedule_that_nobody_wrote_is_not_found(opened):
    async with opened(primary=LAYERS) as roster:
        with pytest.raises(NotFound, match="no schedule 'primry'; did you mean 'primary'"):
            await roster.on_call("primry", NOW)

"""Channels and calendars are checked before they are needed."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from activities.channels.channel import DeliveryDeferred, DeliveryRejected
from holdfast.domain.notification import FailureKind
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError, Unavailable
from storage.channel_health import Failure
from worker.check_up import CheckUp

URL = "http://127.0.0.1:1/"
POLICY = Policy.model_validate(
    {
        "channels": {
            name: {"kind": "webhook", "url": URL} for name in ("first", "second", "third")
        },
        "people": {"ada": {"contacts": [{"channel": "first"}]}},
        "schedules": {
            "feed": {"calendar": "http://127.0.0.1:1/feed.ics"},
            "turns": {"layers": [{"people": ["ada"], "starts_on": "2026-01-05"}]},
        },
    }
)
WELL = {"channels.first": None, "channels.second": None, "channels.third": None}
ALL_WELL = WELL | {"schedules.feed": None}


class Health:
    """Remembers what it is told, as ``ChannelHealth`` does; away as long as a test wants."""

    def __init__(self):
        self.found = {}
        self.notes = 0
        self.away = False

    async def note(self, key, *, failure, at):
        self.notes += 1
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        changed = bool(failure) != bool(self.found.get(key))
        self.found[key] = failure
        return changed


class World:
    """A policy, and what its channels and calendars answer to a check."""

    def __init__(self):
        self.policy = POLICY
        self.health = Health()
        self.answers = {}
        self.checked = []

    async def check(self, name):
        self.checked.append(name)
        answer = self.answers.get(name)
        if isinstance(answer, Exception):
            raise answer
        if answer:
            await answer()

    async def check_calendar(self, name, schedule):
        assert schedule is self.policy.schedules[name]
        await self.check(name)

    def check_up(self, **times):
        return CheckUp(
            self.health,
            policy=lambda: self.policy,
            check=self.check,
            check_calendar=self.check_calendar,
            hidden=lambda text: text.replace("topsecret", "[secret]"),
            **times,
        )


@pytest.fixture
def world():
    return World()


@asynccontextmanager
async def started(check_up):
    await check_up.start()
    try:
        yield check_up
    finally:
        await check_up.stop()


async def eventually(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def never():
    await asyncio.Event().wait()


async def test_every_channel_and_calendar_is_checked(world):
    """A schedule of rotations has nothing to check."""
    await world.check_up().run()
    assert world.health.found == ALL_WELL


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (
            DeliveryRejected(FailureKind.REJECTED, "no such hook"),
            Failure(FailureKind.REJECTED, "no such hook"),
        ),
        (
            ConfigurationError("the environment variable TOKEN is not set; set it"),
            Failure(FailureKind.CONFIGURATION, "the environment variable TOKEN is not set; set it"),
        ),
        (DeliveryDeferred("answered 503"), Failure(None, "answered 503")),
        (Unavailable("the calendar is away"), Failure(None, "the calendar is away")),
        (KeyError("scopes"), Failure(None, "KeyError: 'scopes'")),
        (
            DeliveryRejected(FailureKind.CONFIGURATION, "topsecret is refused"),
            Failure(FailureKind.CONFIGURATION, "[secret] is refused"),
        ),
    ],
)
@pytest.mark.parametrize(
    ("name", "key"), [("second", "channels.second"), ("feed", "schedules.feed")]
)
async def test_a_failure_is_told_with_its_reason(world, name, key, answer, failure):
    """Whatever it is, without secrets, and nothing else fails with it."""
    world.answers[name] = answer
    await world.check_up().run()
    assert world.health.found == ALL_WELL | {key: failure}


async def test_one_that_hangs_delays_no_other(world):
    """They are asked side by side, and each has its own time."""

    async def after_the_others():
        await eventually(lambda: len(world.checked) == 4)

    world.answers = {"first": never, "second": after_the_others}
    await world.check_up(patience=timedelta(milliseconds=500)).run()
    assert world.health.found == ALL_WELL | {
        "channels.first": Failure(None, "no answer within 0.5 s")
    }


async def test_a_check_up_is_made_at_the_start_and_when_it_is_asked_for(world):
    async with started(world.check_up()) as check_up:
        await eventually(lambda: world.health.found == ALL_WELL)
        world.answers["first"] = ConfigurationError("gone")
        check_up.ask()
        await eventually(lambda: world.health.found["channels.first"])


async def test_it_is_made_again_by_itself(world):
    async with started(world.check_up(every=timedelta(milliseconds=1))):
        await eventually(lambda: world.checked.count("first") == 3)


async def test_what_is_asked_for_during_one_is_not_lost(world):
    """The one under way may have looked already."""
    check_up = world.check_up()
    asks = [check_up.ask]

    async def ask_once():
        if asks:
            asks.pop()()

    world.answers["first"] = ask_once
    async with started(check_up):
        await eventually(lambda: world.checked.count("first") == 2)


async def test_it_goes_on_after_postgresql_was_away(world):
    """What was found then is found again."""
    world.health.away = True
    with capture_logs() as logs:
        async with started(world.check_up(every=timedelta(milliseconds=1))):
            await eventually(lambda: world.health.notes)
            world.health.away = False
            await eventually(lambda: world.health.found == ALL_WELL)
    assert logs[0]["event"] == "the check-up is not written down"
    assert logs[0]["why"] == "PostgreSQL cannot be reached"


async def test_what_was_found_of_another_policy_is_dropped(world):
    """After a reload the same name may be another channel."""

    async def reload():
        world.policy = POLICY.model_copy()

    world.answers = {"second": ConfigurationError("gone"), "third": reload}
    await world.check_up().run()
    assert world.health.found == {}


async def test_only_a_change_is_logged(world):
    world.answers["first"] = DeliveryDeferred("answered 503")
    with capture_logs() as logs:
        await world.check_up().run()
        await world.check_up().run()
        world.answers.clear()
        await world.check_up().run()
    assert [(each["log_level"], each["key"]) for each in logs] == [
        ("warning", "channels.first"),
        ("info", "channels.first"),
    ]


async def test_it_stops_in_the_middle(world):
    world.answers["first"] = never
    async with started(world.check_up()):
        await eventually(lambda: world.checked)
    assert world.health.found == {}

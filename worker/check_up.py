"""Owns the check-up: whether the channels and calendars of the policy work, before they are needed.

A token that was revoked shows at the next check-up and not in the night that needs it. Every
worker makes its own: what one finds that another has found is written down once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from activities.channels.channel import DeliveryRejected
from holdfast.domain.notification import FailureKind
from holdfast.domain.policy import Policy
from holdfast.domain.schedule import Schedule
from holdfast.errors import ConfigurationError, HoldfastError
from storage.channel_health import ChannelHealth, Failure

log = structlog.get_logger(__name__)

EVERY: Final = timedelta(minutes=10)
# Three times what a channel's one request may take by default: signing in takes several.
PATIENCE: Final = timedelta(seconds=30)

Check = Callable[[], Awaitable[None]]


class CheckUp:
    """Checks all channels and calendars side by side: after the start, when asked, and regularly.

    Args:
        health: Where it is written down.
        policy: Gives the present policy.
        check: Checks a channel by its name; raises as ``Sender.check``.
        check_calendar: Checks a schedule's calendar; raises a ``HoldfastError``.
        hidden: Takes the secrets out of a text.
        patience: For each check, so that one that hangs delays no other.
    """

    def __init__(
        self,
        health: ChannelHealth,
        *,
        policy: Callable[[], Policy],
        check: Callable[[str], Awaitable[None]],
        check_calendar: Callable[[str, Schedule], Awaitable[None]],
        hidden: Callable[[str], str],
        every: timedelta = EVERY,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._health = health
        self._policy = policy
        self._check = check
        self._check_calendar = check_calendar
        self._hidden = hidden
        self._every = every
        self._patience = patience
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with the first check-up; nobody waits for it."""
        self._task = asyncio.create_task(self._keep_checking(), name="check-up")

    async def stop(self) -> None:
        """Stop, also in the middle of one."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def ask(self) -> None:
        """Have a check-up made soon, as after a reload of the policy."""
        self._asked.set()

    async def run(self) -> None:
        """Make one check-up, and write down what it finds.

        Raises:
            Unavailable: If PostgreSQL is away.
        """
        policy = self._policy()
        checks = self._checks(policy)
        failures = await asyncio.gather(*(self._failure(check) for check in checks.values()))
        for key, failure in zip(checks, failures, strict=True):
            if self._policy() is not policy:
                # What was reloaded meanwhile may have another channel of that name.
                return
            changed = await self._health.note(key, failure=failure, at=datetime.now(UTC))
            if changed and failure:
                log.warning("a channel or calendar does not work", key=key, why=failure.reason)
            elif changed:
                log.info("a channel or calendar works again", key=key)

    def _checks(self, policy: Policy) -> dict[str, Check]:
        """What is to be checked, by its place in the policy file."""

        def of_channel(name: str) -> Check:
            return lambda: self._check(name)

        def of_calendar(name: str, schedule: Schedule) -> Check:
            return lambda: self._check_calendar(name, schedule)

        return {f"channels.{name}": of_channel(name) for name in policy.channels} | {
            f"schedules.{name}": of_calendar(name, schedule)
            for name, schedule in policy.schedules.items()
            if schedule.calendar
        }

    async def _failure(self, check: Check) -> Failure | None:
        """What is wrong, if anything is."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await check()
        except TimeoutError:
            return Failure(None, f"no answer within {self._patience.total_seconds():g} s")
        except DeliveryRejected as error:
            return Failure(error.kind, self._hidden(str(error)))
        except ConfigurationError as error:
            return Failure(FailureKind.CONFIGURATION, self._hidden(str(error)))
        except HoldfastError as error:
            return Failure(None, self._hidden(str(error)))
        except Exception as error:  # noqa: BLE001  # the check's edge: a library's slip is a finding
            return Failure(None, self._hidden(f"{type(error).__name__}: {error}"))
        return None

    async def _keep_checking(self) -> None:
        while True:
            self._asked.clear()
            try:
                await self.run()
            except Exception as error:  # noqa: BLE001  # the task's edge: the next may go well
                log.warning("the check-up is not written down", why=str(error))
            await self._until_due()

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(self._every.total_seconds()):
                await self._asked.wait()
        except TimeoutError:
            return

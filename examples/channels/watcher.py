"""The watcher: tells Holdfast of channels that are off the air, and heals nothing itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from examples.channels.channel import Channel
from examples.channels.run import Failure, Fault
from holdfast.client import Holdfast

TICK = timedelta(seconds=0.1)


@dataclass(frozen=True)
class _Told:
    """What was last reported of a channel."""

    fault: Fault
    at: datetime


class Watcher:
    """Looks at every channel ten times a second.

    A failure is reported at once and then every ``every``, for as long as it lasts: its silence is
    how Holdfast sees that a recovery worked. Channel and fault make the fingerprint, so each
    channel has one incident per kind of failure, however often it is reported.
    """

    def __init__(
        self, channels: Sequence[Channel], holdfast: Holdfast, *, every: timedelta
    ) -> None:
        self._channels = channels
        self._holdfast = holdfast
        self._every = every
        self._told: dict[str, _Told] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            for channel in self._channels:
                self._look(channel, datetime.now(UTC))
            await asyncio.sleep(TICK.total_seconds())

    def _look(self, channel: Channel, now: datetime) -> None:
        failure = channel.failure(now)
        if failure is None:
            self._told.pop(channel.name, None)
        elif self._is_due(channel.name, failure.fault, now):
            self._told[channel.name] = _Told(failure.fault, now)
            self._report(channel, failure)

    def _is_due(self, name: str, fault: Fault, now: datetime) -> bool:
        told = self._told.get(name)
        return told is None or told.fault is not fault or now - told.at >= self._every

    def _report(self, channel: Channel, failure: Failure) -> None:
        self._holdfast.report(
            f"channel {channel.name} is off the air: {failure.message}",
            error_type=failure.fault,
            fingerprint=f"{failure.fault}:{channel.name}",
            labels={"channel": channel.name},
            context=channel.evidence(),
        )

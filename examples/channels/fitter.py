"""The fitter: has channels make the picture that the features allow, as these are switched."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from examples.channels.channel import Channel

TICK = timedelta(seconds=0.5)


class Fitter:
    """Looks twice a second which channels on the air make another picture than they should.

    Publishing anew is a break of a second for the viewers, so one channel follows the other.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            for channel in self._channels:
                await channel.refit()
            await asyncio.sleep(TICK.total_seconds())

"""The station: all channels of the service, and what lives as long as they do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from examples.channels.channel import Channel
from examples.channels.request import Answers
from examples.channels.settings import ChannelFile, Settings
from examples.channels.watcher import Watcher
from holdfast.client import Holdfast


class Station:
    """The channels by name, the watcher and the answers given; :meth:`on_air` runs them.

    Attributes:
        channels: The file's channels by name, in its order.
        answers: What actions brought, by idempotency key.
    """

    def __init__(self, settings: Settings) -> None:
        configs = ChannelFile.read(settings.config).channels
        patience = settings.no_frames_after
        self.channels = {c.name: Channel(c, no_frames_after=patience) for c in configs}
        self.answers = Answers()
        self._settings = settings
        self._watching: asyncio.Task[None] | None = None

    @property
    def watched(self) -> bool:
        """Whether the watcher lives: without it no failure would be told."""
        return self._watching is not None and not self._watching.done()

    @asynccontextmanager
    async def on_air(self) -> AsyncIterator[None]:
        """Publish and watch the channels; afterwards no ffmpeg is left."""
        settings, channels = self._settings, [*self.channels.values()]
        key = settings.holdfast_key.get_secret_value()
        with Holdfast(str(settings.holdfast_url), key, service="channels") as holdfast:
            watcher = Watcher(channels, holdfast, every=settings.report_every)
            self._watching = asyncio.create_task(watcher.run())
            starting = [asyncio.create_task(channel.restart()) for channel in channels]
            try:
                yield
            finally:
                await _cancel([self._watching, *starting])
                await self.answers.close()
                await asyncio.gather(*(channel.close() for channel in channels))


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

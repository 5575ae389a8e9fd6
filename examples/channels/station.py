"""The station: all channels of the service, and what lives as long as they do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.channels.channel import Channel
from examples.channels.fitter import Fitter
from examples.channels.request import Answers
from examples.channels.settings import ChannelFile, Settings
from examples.channels.watcher import Watcher
from holdfast.client import Holdfast


class Station:
    """The channels by name, what looks after them, and the answers given; :meth:`on_air` runs them.

    Args:
        settings: The service's.
        holdfast: Closed when the station goes off the air.

    Attributes:
        channels: The file's channels by name, in its order.
        answers: What actions brought, by idempotency key.
    """

    def __init__(self, settings: Settings, holdfast: Holdfast) -> None:
        self._folder = TemporaryDirectory(prefix="channels-previews-")
        self.channels = {
            config.name: Channel(
                config,
                holdfast=holdfast,
                no_frames_after=settings.no_frames_after,
                previews=Path(self._folder.name),
            )
            for config in ChannelFile.read(settings.config).channels
        }
        self.answers = Answers()
        self._holdfast = holdfast
        channels = [*self.channels.values()]
        self._watcher = Watcher(channels, holdfast, every=settings.report_every)
        self._fitter = Fitter(channels)
        self._watching: asyncio.Task[None] | None = None

    @property
    def watched(self) -> bool:
        """Whether the watcher lives: without it no failure would be told."""
        return self._watching is not None and not self._watching.done()

    @asynccontextmanager
    async def on_air(self) -> AsyncIterator[None]:
        """Publish and watch the channels; afterwards no ffmpeg is left."""
        channels = [*self.channels.values()]
        with self._folder, self._holdfast:
            self._watching = asyncio.create_task(self._watcher.run())
            fitting = asyncio.create_task(self._fitter.run())
            starting = [asyncio.create_task(channel.restart()) for channel in channels]
            try:
                yield
            finally:
                await _cancel([self._watching, fitting, *starting])
                await self.answers.close()
                await asyncio.gather(*(channel.close() for channel in channels))


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

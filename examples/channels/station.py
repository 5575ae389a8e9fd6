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
        self._looking: list[asyncio.Task[None]] = []

    @property
    def watched(self) -> bool:
        """Whether watcher and fitter live: failures would not be told, features not obeyed."""
        return bool(self._looking) and not any(each.done() for each in self._looking)

    @asynccontextmanager
    async def on_air(self) -> AsyncIterator[None]:
        """Publish and watch the channels; afterwards no ffmpeg is left."""
        channels = [*self.channels.values()]
        with self._folder, self._holdfast:
            self._looking = [
                asyncio.create_task(each.run()) for each in (self._watcher, self._fitter)
            ]
            starting = [asyncio.create_task(channel.restart()) for channel in channels]
            try:
                yield
            finally:
                await _cancel([*self._looking, *starting])
                await self.answers.close()
                await asyncio.gather(*(channel.close() for channel in channels))


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""The publisher: one ffmpeg that sends a test picture to an RTMP URL."""

import asyncio
from asyncio.subprocess import Process
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from examples.channels import ffmpeg
from examples.channels.picture import Picture
from examples.channels.run import Run
from examples.channels.settings import ChannelConfig, Feed


class Publisher:
    """One run of ffmpeg; a channel that is started again gets a new one.

    Attributes:
        run: What is known of it so far.
        picture: What it makes.
    """

    def __init__(self, process: Process, config: ChannelConfig, picture: Picture) -> None:
        self.run = Run(started_at=datetime.now(UTC))
        self.picture = picture
        self._config = config
        self.pid = process.pid
        self._process = process
        self._decided = asyncio.Event()
        self._following = asyncio.create_task(self._follow())

    @classmethod
    async def start(
        cls, config: ChannelConfig, feed: Feed, picture: Picture, *, preview: Path
    ) -> Self:
        """Start publishing; whether it works shows in :attr:`run`."""
        arguments = picture.arguments(config.url(feed), preview=preview)
        return cls(await ffmpeg.start(*arguments), config, picture)

    async def decided(self, *, within: timedelta) -> None:
        """Wait until it has brought its first frame or died, or until the time is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._decided.wait(), within.total_seconds())

    async def stop(self) -> None:
        """Take it off the air for good."""
        await ffmpeg.kill(self._process)
        await self._following

    async def _follow(self) -> None:
        """Read both pipes to their ends, so that an exit is known only with its last words."""
        _, words = await asyncio.gather(self._count_frames(), ffmpeg.last_words(self._process))
        # ffmpeg names its output in its complaints, and those go into reports.
        words = tuple(self._config.without_keys(line) for line in words)
        self.run = self.run.ended(await self._process.wait(), words)
        self._decided.set()

    async def _count_frames(self) -> None:
        async for frames, _ in ffmpeg.progress(self._process):
            self.run = self.run.advanced(frames, now=datetime.now(UTC))
            if frames:
                self._decided.set()

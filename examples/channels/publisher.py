"""The publisher: one ffmpeg that sends a test picture to an RTMP URL."""

import asyncio
import shlex
from asyncio.subprocess import Process
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Self

from examples.channels import ffmpeg
from examples.channels.run import Run
from examples.channels.settings import ChannelConfig, Feed

# A small picture, few frames, the quickest preset: a channel costs a few hundredths of a core.
PICTURE = shlex.split("-re -f lavfi -i testsrc2=size=320x180:rate=15")
ENCODER = shlex.split("-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -threads 1 -f flv")


class Publisher:
    """One run of ffmpeg; a channel that is started again gets a new one."""

    def __init__(self, process: Process, config: ChannelConfig) -> None:
        self.run = Run(started_at=datetime.now(UTC))
        self._config = config
        self.pid = process.pid
        self._process = process
        self._decided = asyncio.Event()
        self._following = asyncio.create_task(self._follow())

    @classmethod
    async def start(cls, config: ChannelConfig, feed: Feed) -> Self:
        """Start publishing; whether it works shows in :attr:`run`."""
        return cls(await ffmpeg.start(*PICTURE, *ENCODER, config.url(feed)), config)

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
        async for frames in ffmpeg.frame_counts(self._process):
            self.run = self.run.advanced(frames, now=datetime.now(UTC))
            if frames:
                self._decided.set()

"""ffmpeg as a child process: how it is started, followed and killed."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import imageio_ffmpeg  # type: ignore[import-untyped]  # it ships no hints

from examples.channels.tether import tethered

STDERR_LINES = 20
QUIET = ["-hide_banner", "-nostdin", "-loglevel", "error"]
PROGRESS = ["-progress", "pipe:1", "-stats_period", "0.5"]


class Progress(NamedTuple):
    """What ffmpeg has done so far.

    Attributes:
        frames: How many frames it has put out.
        size: How many bytes that made.
    """

    frames: int
    size: int


async def start(*arguments: str) -> Process:
    """Start ffmpeg, telling its progress on a pipe, so that it cannot outlive this process.

    It gets a session of its own: Ctrl-C in a terminal is for us, who then stop it, and must not
    look like the death of a channel.
    """
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *QUIET, *PROGRESS, *arguments]
    return await asyncio.create_subprocess_exec(
        *tethered(command), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
    )


async def kill(process: Process) -> None:
    """Kill and reap: a live picture leaves nothing to finish, and a stuck ffmpeg heeds no less."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def progress(process: Process) -> AsyncIterator[Progress]:
    """How far it has come, about twice a second, until it closes its output."""
    told = {"frame": "0", "total_size": "0"}
    async for line in _lines(process.stdout):
        name, _, value = line.partition("=")
        told[name] = value
        # The last line of each telling. Before its first packet the size is "N/A".
        if name == "progress":
            size = told["total_size"]
            yield Progress(int(told["frame"]), int(size) if size.isdecimal() else 0)


async def last_words(process: Process) -> tuple[str, ...]:
    """Read stderr to its end and give the last lines."""
    words: deque[str] = deque(maxlen=STDERR_LINES)
    async for line in _lines(process.stderr):
        words.append(line)
    return tuple(words)


async def _lines(pipe: asyncio.StreamReader | None) -> AsyncIterator[str]:
    async for line in pipe or asyncio.StreamReader():
        if text := line.decode(errors="replace").strip():
            yield text

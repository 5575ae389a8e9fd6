"""The ingest: takes one RTMP publisher at a time on one port, for as long as it runs.

``python -m examples.channels.ingest --port 1935 --name primary``
"""

import argparse
import asyncio
import signal
from asyncio.subprocess import Process
from datetime import timedelta

from examples.channels import ffmpeg

# Enough of the stream to know its codec; by default ffmpeg looks for sound for five seconds.
PROBE = ["-analyzeduration", "500000"]
# Into nothing, but as a file: only then does ffmpeg count the bytes.
SINK = ["-c", "copy", "-f", "flv", "-y", "/dev/null"]
# For an ffmpeg that ends at once, because the port is taken say.
PAUSE = timedelta(seconds=0.2)


class Ingest:
    """Keeps an ffmpeg listening: ``-listen 1`` takes one publisher and ends with it."""

    def __init__(self, *, name: str, host: str, port: int) -> None:
        self._name = name
        self._url = f"rtmp://{host}:{port}/live"
        self._frames = 0

    async def run(self) -> None:
        """Listen anew after each publisher, until cancelled; then no ffmpeg is left."""
        while True:
            process = await ffmpeg.start(*PROBE, "-listen", "1", "-i", self._url, *SINK)
            self._say(f"listening on {self._url}")
            try:
                await self._take(process)
            finally:
                await ffmpeg.kill(process)

    async def _take(self, process: Process) -> None:
        _, words = await asyncio.gather(self._count(process), ffmpeg.last_words(process))
        if self._frames:
            self._say(f"the publisher left after frames={self._frames}")
        else:
            self._say(" ".join(words) or "ffmpeg ended without a word")
            await asyncio.sleep(PAUSE.total_seconds())

    async def _count(self, process: Process) -> None:
        self._frames = 0
        async for self._frames, size in ffmpeg.progress(process):
            self._say(f"frames={self._frames} bytes={size}")

    def _say(self, text: str) -> None:
        print(f"{self._name}: {text}", flush=True)


async def main() -> None:
    """Run one ingest until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="ingest", help="begins each line of output")
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    ingest = Ingest(name=arguments.name, host=arguments.host, port=arguments.port)
    running = asyncio.create_task(ingest.run())
    for stop in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(stop, running.cancel)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()


if __name__ == "__main__":
    asyncio.run(main())

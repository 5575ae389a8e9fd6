"""Owns the channel service under test: its ingests, its process, and what they say of frames."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import yaml

from examples.channels.ffmpeg import Progress
from examples.channels.settings import Feed
from examples.channels.view import ChannelView, Status
from examples.demo.claims import eventually
from standalone import environment
from standalone.child import Child, Program
from standalone.logs import ChildLog
from standalone.ports import Port
from standalone.system import CHECKOUT

HOST = "127.0.0.1"
SERVICE = "channels"
FLOWS_WITHIN = timedelta(seconds=20)
_PROGRESS = re.compile(r": frames=(\d+) bytes=(\d+)$")
# A second of them, with at least one key frame.
ENOUGH_FRAMES = FRAME_RATE = 15


class Studio:
    """The channel service and two ingests for each of its channels, as real processes.

    Args:
        channels: Their names.
        ports: The service's, then two for each channel.
        home: Where the file of channels and the processes' logs go.
        say: Told of processes that end unasked.
    """

    def __init__(
        self,
        channels: Sequence[str],
        ports: Sequence[int],
        *,
        home: Path,
        say: Callable[[str], None],
    ) -> None:
        self._home, self._say = home, say
        port, *others = ports
        self._port = port
        self.url = f"http://{HOST}:{port}"
        feeds = [(name, feed) for name in channels for feed in Feed]
        self._ports = dict(zip(feeds, others, strict=True))
        self._ingests: dict[tuple[str, Feed], Child] = {}
        self._channels = channels
        self._service: Child | None = None
        self._http = httpx.AsyncClient(base_url=self.url, timeout=10, trust_env=False)

    async def start(self, settings: Mapping[str, str]) -> None:
        """Start the ingests, then the service, and wait until all channels are on the air."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.stop)
            await asyncio.gather(*(self.bring_back(*feed) for feed in self._ports))
            listed = self._home / "channels.yaml"
            listed.write_text(yaml.safe_dump({"channels": self._listed()}))
            mine = {
                "CHANNELS_PORT": str(self._port),
                "CHANNELS_CONFIG": str(listed),
                # By default it would find what a service of the same name left unsent elsewhere.
                "HOLDFAST_SPILL": str(self._home / "unsent"),
            }
            self._service = self._child(
                "examples.channels",
                name=SERVICE,
                ready=self._answers,
                settings={**mine, **settings},
            )
            await self._service.start()
            for name in self._channels:
                await self.flowing(name, Feed.PRIMARY)
            undo.pop_all()

    async def stop(self) -> None:
        """Stop everything; no ffmpeg is left."""
        await self._http.aclose()
        children = [*([self._service] if self._service else []), *self._ingests.values()]
        await asyncio.gather(*(child.stop() for child in children))

    async def take_away(self, channel: str, feed: Feed) -> None:
        """Kill an ingest; it stays away until it is brought back."""
        await self._ingests[channel, feed].kill()

    async def bring_back(self, channel: str, feed: Feed) -> None:
        """Start an ingest, and wait until it listens."""
        name, port = f"{channel}-{feed}", self._ports[channel, feed]

        async def listens() -> bool:
            # Not by connecting: an ingest takes one publisher, and would take us for it.
            return not Port(name, HOST, port, "").is_free()

        arguments = ("--port", str(port), "--name", name)
        self._ingests[channel, feed] = self._child(
            "examples.channels.ingest", *arguments, name=name, ready=listens
        )
        await self._ingests[channel, feed].start()

    async def has_preview(self, channel: str) -> bool:
        """Whether the service shows a still picture of a channel."""
        return (await self._http.get(f"/channels/{channel}/preview")).is_success

    async def view(self, channel: str) -> ChannelView:
        """What the service tells of a channel."""
        response = await self._http.get(f"/channels/{channel}")
        return ChannelView.model_validate(response.raise_for_status().json())

    def received(self, channel: str, feed: Feed) -> Progress:
        """What an ingest has got from its present publisher, by its own count."""
        [last] = self._ingests[channel, feed].log.tail(1).splitlines() or [""]
        found = _PROGRESS.search(last)
        return Progress(*map(int, found.groups())) if found else Progress(0, 0)

    async def bitrate(self, channel: str, *, hd: bool) -> int:
        """Wait until a channel sends the one picture or the other; its kbit/s at the ingest.

        Raises:
            ClaimFailed: It does not.
        """

        async def look() -> tuple[ChannelView, Progress]:
            view = await self.view(channel)
            return view, self.received(channel, view.feed)

        _, got = await eventually(
            f"{channel} is on the air {'in HD' if hd else 'in small'}",
            look,
            holds=lambda seen: _shows(seen[0], hd=hd) and seen[1].frames > ENOUGH_FRAMES,
            within=FLOWS_WITHIN,
        )
        return got.size * 8 * FRAME_RATE // got.frames // 1000

    async def flowing(self, channel: str, feed: Feed) -> ChannelView:
        """Wait until frames leave a channel and arrive at that ingest, both counts growing.

        Raises:
            ClaimFailed: They do not.
        """

        async def look() -> tuple[ChannelView, int]:
            return await self.view(channel), self.received(channel, feed).frames

        first, got = await eventually(
            f"frames of {channel} arrive at its {feed} ingest",
            look,
            holds=lambda seen: _on_air(seen[0], feed) and seen[1] > 0,
            within=FLOWS_WITHIN,
        )
        later, _ = await eventually(
            f"more frames of {channel} arrive at its {feed} ingest",
            look,
            holds=lambda seen: seen[0].frames > first.frames and seen[1] > got,
            within=FLOWS_WITHIN,
        )
        return later

    def _listed(self) -> list[dict[str, str]]:
        return [
            {"name": name}
            | {feed.value: f"rtmp://{HOST}:{self._ports[name, feed]}/live/{name}" for feed in Feed}
            for name in self._channels
        ]

    async def _answers(self) -> bool:
        try:
            return (await self._http.get("/health")).is_success
        except httpx.TransportError:
            return False

    def _child(
        self,
        module: str,
        *arguments: str,
        name: str,
        ready: Callable[[], Awaitable[bool]],
        settings: Mapping[str, str] | None = None,
    ) -> Child:
        program = Program(
            name=name,
            command=(sys.executable, "-m", module, *arguments),
            environment=environment.for_stores() | dict(settings or {}),
            ready=ready,
            directory=CHECKOUT,
        )
        return Child(program, log=ChildLog(self._home / "logs" / f"{name}.log"), say=self._say)


def _on_air(view: ChannelView, feed: Feed) -> bool:
    return view.status is Status.ON_AIR and view.feed is feed


def _shows(view: ChannelView, *, hd: bool) -> bool:
    return view.status is Status.ON_AIR and view.picture is not None and view.picture.hd is hd

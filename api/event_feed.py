"""Owns the feed of guidance: reads what changed, and tells all clients that are connected.

A change is read by its revision and not taken from the message that tells of it. So a lost message
costs time and no truth, a process that was away catches up by reading, and a client that changes
between processes goes on where it was.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.event_stream import EventStream, event
from api.guidance_board import GuidanceBoard, Notice
from config.policy import LoadedPolicy
from holdfast.errors import Unavailable
from storage.entities import Entities
from storage.notifications import Listener, Message
from storage.snapshots import GUIDANCE_CHANGED

log = structlog.get_logger(__name__)

HEARTBEAT_EVERY: Final = timedelta(seconds=5)
# A client comes again after so long: one whose key was revoked can't, and processes that were
# started later get their share.
_LONGEST_STREAM: Final = timedelta(hours=1)
_FIRST: Final = b"retry: 1000\n\n"


class EventFeed:
    """Tells clients how things stand, and of every change.

    Args:
        engine: Where the record is.
        loaded: Gives the active policy.
        heartbeat_every: How often clients hear that nothing happens.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        loaded: Callable[[], LoadedPolicy],
        heartbeat_every: timedelta = HEARTBEAT_EVERY,
    ) -> None:
        self.board = GuidanceBoard(loaded)
        self._heartbeat_every = heartbeat_every
        self._entities = Entities(engine)
        self._listener = Listener(
            engine, [GUIDANCE_CHANGED], on_message=self._hear, on_connect=self._catch_up
        )
        self._reading = asyncio.Lock()
        self._has_read = False
        self._streams: set[EventStream] = set()
        # Made once for all the clients that come at once when another process has gone.
        self._snapshot_at, self._latest_snapshot = "", b""
        self._is_ending = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_current(self) -> bool:
        """Whether the record's changes reach this process; if not, the board may be old."""
        return self._has_read and self._listener.is_connected

    def __len__(self) -> int:
        """How many clients are connected."""
        return len(self._streams)

    async def start(self) -> None:
        """Begin to listen, to read and to beat."""
        self._tasks = [
            asyncio.create_task(self._listener.run(), name="guidance"),
            asyncio.create_task(self._keep_beating(), name="event streams' heartbeat"),
        ]

    async def stop(self) -> None:
        """Let all clients go and stop."""
        self.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def end(self) -> None:
        """Let all clients go, and take no more; a server that ends must not wait for them."""
        self._is_ending = True
        for stream in self._streams:
            stream.end()

    async def join(
        self, services: frozenset[str] | None, *, position: str | None = None
    ) -> EventStream:
        """Connect a client; its stream begins with how things stand.

        Args:
            services: What it wants to hear of; None for all.
            position: The last that it heard before, if it did.

        Raises:
            Unavailable: If the process is about to end.
        """
        if position and self.is_current and self.board.is_behind(position):
            # Another process was quicker to hear what it knows already.
            await self._look()
        if self._is_ending:
            raise Unavailable("this process is about to end", retry_after=timedelta(seconds=1))
        longest = _LONGEST_STREAM.total_seconds() * random.uniform(0.9, 1)  # noqa: S311  # no secret
        until = asyncio.get_running_loop().time() + longest
        stream = EventStream(services, position=position, until=until)
        stream.put(_FIRST)
        self._streams.add(stream)
        self._greet(stream)
        return stream

    def leave(self, stream: EventStream) -> None:
        """Forget a client."""
        self._streams.discard(stream)

    def follow_policy(self) -> None:
        """Tell of what a reload of the policy changed."""
        before = self.board.position
        self._tell(self.board.follow_policy(), before=before)

    def _greet(self, stream: EventStream) -> None:
        """Tell a client how things stand, or what it missed.

        Who heard something before is told nothing that may be older: it waits until this process
        is current.
        """
        if stream.position is None or self.is_current:
            for told in self._standing(stream.services, stream.position):
                stream.put(told)
            stream.position = None
        stream.put(self._heartbeat())

    def _standing(self, services: frozenset[str] | None, position: str | None) -> list[bytes]:
        since = self.board.since(position) if position else None
        if position is None or since is None:
            return [self._snapshot(services)]
        missed = self.board.notices(services, after=since)
        return _events(missed, before=position, after=self.board.position)

    def _snapshot(self, services: frozenset[str] | None) -> bytes:
        position = self.board.position
        if services is None and self._snapshot_at == position:
            return self._latest_snapshot
        texts = ",".join(each.text for each in self.board.notices(services))
        told = event("snapshot", f'{{"services":[{texts}]}}', position=position)
        if services is None:
            self._snapshot_at, self._latest_snapshot = position, told
        return told

    def _heartbeat(self) -> bytes:
        return event("heartbeat", '{"current":true}' if self.is_current else '{"current":false}')

    def _tell(self, changed: Sequence[Notice], *, before: str) -> None:
        if changed:
            self._snapshot_at = ""
        told = _events(changed, before=before, after=self.board.position)
        for notice, each in zip(changed, told, strict=True):
            for stream in self._streams:
                if stream.position is None and stream.wants(notice.guidance.service):
                    stream.put(each)

    async def _read(self, *, whole: bool = False) -> None:
        async with self._reading:
            after = None if whole else self.board.revision
            guides = await self._entities.guides(after=after)
            before = self.board.position
            self._tell(self.board.read(guides, whole=whole), before=before)

    async def _hear(self, message: Message) -> None:
        await self._read(whole=not message.payload)

    async def _catch_up(self) -> None:
        self._has_read = False
        await self._read(whole=True)
        self._has_read = True
        self._beat()

    async def _look(self) -> None:
        """Read what changed, told or not; whether that works says whether the board is current."""
        try:
            await self._read()
        except Unavailable as error:
            self._has_read = False
            log.info("the record cannot be read", why=str(error))
        else:
            self._has_read = True

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_every.total_seconds())
            try:
                self.follow_policy()
                await self._look()
            except Exception:
                # The task's edge: a state that this version can't read must not silence it.
                self._has_read = False
                log.exception("the record cannot be followed")
            self._beat()

    def _beat(self) -> None:
        now, heartbeat = asyncio.get_running_loop().time(), self._heartbeat()
        for stream in self._streams:
            if stream.position is not None:
                self._greet(stream)
            else:
                stream.put(heartbeat)
            if stream.until <= now:
                stream.end()


def _events(notices: Sequence[Notice], *, before: str, after: str) -> list[bytes]:
    """The events of several changes; only who heard the last of them is past them all."""
    last = len(notices) - 1
    return [
        event("service", each.text, position=after if place == last else before)
        for place, each in enumerate(notices)
    ]

"""The channel: a publisher on one of two ingests, and the moves between them."""

import asyncio
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel

from examples.channels.publisher import Publisher
from examples.channels.run import Failure, Run
from examples.channels.settings import ChannelConfig, Feed

ACTION_TIMEOUT = timedelta(seconds=5)
# An ingest that has just lost its publisher takes some tenths of a second to listen again.
REFUSAL_PATIENCE = timedelta(seconds=2)
REFUSAL_PAUSE = timedelta(seconds=0.2)


class Status(StrEnum):
    """Whether viewers see the channel."""

    ON_AIR = "on_air"
    STARTING = "starting"
    DOWN = "down"


class ChannelView(BaseModel):
    """What the service tells of a channel."""

    name: str
    status: Status
    reason: str | None
    feed: Feed
    ingest: str
    pid: int | None
    frames: int
    last_frame_at: AwareDatetime | None


class Outcome(BaseModel):
    """How an action ended: done only when new frames flow, otherwise with the reason.

    Attributes:
        feed: Where it tried to publish; after a failed move, the channel is not there.
        stderr: ffmpeg's last words.
    """

    done: bool
    channel: str
    feed: Feed
    reason: str | None
    stderr: list[str]


class Channel:
    """A channel from the service's start to its end, through any number of publishers.

    Its actions run one at a time. It never heals itself: that is for whoever calls them.

    Attributes:
        feed: The ingest that it publishes to, or would.
    """

    def __init__(self, config: ChannelConfig, *, no_frames_after: timedelta) -> None:
        self.name = config.name
        self.feed = Feed.PRIMARY
        self._config = config
        self._patience = no_frames_after
        self._publisher: Publisher | None = None
        self._before = Run(started_at=datetime.now(UTC))
        self._acting = asyncio.Lock()

    async def restart(self) -> Outcome:
        """Publish anew to the present ingest."""
        async with self._acting:
            return await self._restart()

    async def move(self, feed: Feed) -> Outcome:
        """Publish to that ingest; what was on the air goes off only once the new frames flow.

        A move that fails leaves the channel as it was: going back to a primary that is still dead
        must not cost the viewers the standby.
        """
        async with self._acting:
            if feed is self.feed:
                there = self.on_air(datetime.now(UTC))
                return self._outcome(self._run, feed) if there else await self._restart()
            candidate = await self._publish(feed)
            outcome = self._outcome(candidate.run, feed)
            if outcome.done:
                await self._stop()
                self._publisher, self.feed = candidate, feed
            else:
                await candidate.stop()
            return outcome

    async def close(self) -> None:
        """Go off the air for good; not while an action is under way."""
        await self._stop()

    def on_air(self, now: datetime) -> bool:
        """Whether frames advance."""
        return self._run.on_air(now, patience=self._patience)

    def failure(self, now: datetime) -> Failure | None:
        """What is wrong, if anything is and nobody is at work on it."""
        if self._acting.locked():
            return None
        return self._run.failure(now, patience=self._patience)

    def view(self, now: datetime) -> ChannelView:
        """The channel as it is told to others, without stream keys."""
        run = self._run
        status, reason = self._status(now)
        return ChannelView(
            name=self.name,
            status=status,
            reason=reason,
            feed=self.feed,
            ingest=self._config.shown(self.feed),
            pid=self._publisher.pid if self._publisher and run.exit_code is None else None,
            frames=run.frames,
            last_frame_at=run.last_frame_at,
        )

    def evidence(self) -> dict[str, object]:
        """What helps to understand a failure, for a report's context."""
        run = self._run
        return {
            "channel": self.name,
            "feed": self.feed,
            "ingest": self._config.shown(self.feed),
            "started_at": run.started_at.isoformat(),
            "frames": run.frames,
            "last_frame_at": run.last_frame_at.isoformat() if run.last_frame_at else None,
            "exit_code": run.exit_code,
            "stderr_tail": list(run.stderr_tail),
        }

    @property
    def _run(self) -> Run:
        return self._publisher.run if self._publisher else self._before

    def _status(self, now: datetime) -> tuple[Status, str | None]:
        if self.on_air(now):
            return Status.ON_AIR, None
        if failure := self.failure(now):
            return Status.DOWN, str(failure)
        return Status.STARTING, "its first frame has not come yet"

    async def _restart(self) -> Outcome:
        # An ingest takes one publisher at a time, so the old one has to go first.
        await self._stop()
        self._publisher = await self._publish(self.feed)
        return self._outcome(self._publisher.run, self.feed)

    async def _stop(self) -> None:
        if self._publisher:
            await self._publisher.stop()

    async def _publish(self, feed: Feed) -> Publisher:
        """Start a publisher and wait for its first frame; it may come back dead or still mute."""
        begun = datetime.now(UTC)
        while True:
            publisher = await Publisher.start(self._config, feed)
            try:
                await publisher.decided(within=begun + ACTION_TIMEOUT - datetime.now(UTC))
            except asyncio.CancelledError:
                await publisher.stop()
                raise
            patient = datetime.now(UTC) - begun < REFUSAL_PATIENCE
            if not (patient and publisher.run.was_refused):
                return publisher
            await asyncio.sleep(REFUSAL_PAUSE.total_seconds())

    def _outcome(self, run: Run, feed: Feed) -> Outcome:
        done = run.exit_code is None and run.frames > 0
        failure = None if done else run.failure(datetime.now(UTC), patience=timedelta())
        return Outcome(
            done=done,
            channel=self.name,
            feed=feed,
            reason=str(failure) if failure else None,
            stderr=list(run.stderr_tail),
        )

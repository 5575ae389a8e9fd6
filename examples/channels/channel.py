"""The channel: a publisher on one of two ingests, and the moves between them."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from examples.channels.picture import Picture
from examples.channels.publisher import Publisher
from examples.channels.run import Failure, Run
from examples.channels.settings import ChannelConfig, Feed
from examples.channels.view import ChannelView, Outcome, Status
from holdfast.client import BreakerOpen, Holdfast

ACTION_TIMEOUT = timedelta(seconds=5)
# An ingest that has just lost its publisher takes some tenths of a second to listen again.
REFUSAL_PATIENCE = timedelta(seconds=2)
# A breaker that is half-open lets a probe call through after about a second.
REJECTION_PATIENCE = timedelta(seconds=2)
PAUSE = timedelta(seconds=0.2)


class Channel:
    """A channel from the service's start to its end, through any number of publishers.

    Its actions run one at a time. It heals itself in one way only: what the breaker of an ingest
    rejects goes to the other ingest. All else is for whoever calls the actions.

    Args:
        config: Its name and its ingests.
        holdfast: Guards the ingests, and knows the features.
        no_frames_after: How long it may be without a new frame.
        previews: The folder for its still picture.

    Attributes:
        feed: The ingest that it publishes to, or would.
    """

    def __init__(
        self,
        config: ChannelConfig,
        *,
        holdfast: Holdfast,
        no_frames_after: timedelta,
        previews: Path,
    ) -> None:
        self.name = config.name
        self.feed = Feed.PRIMARY
        self._config = config
        self._holdfast = holdfast
        self._patience = no_frames_after
        self._preview = previews / f"{config.name}.jpg"
        self._publisher: Publisher | None = None
        self._before = Run(started_at=datetime.now(UTC))
        self._starts = 0
        self._acting = asyncio.Lock()

    async def restart(self) -> Outcome:
        """Publish anew to the present ingest; while its breaker rejects that, to the other."""
        async with self._acting:
            return await self._restart()

    async def move(self, feed: Feed) -> Outcome:
        """Publish to that ingest; what was on the air goes off only once the new frames flow.

        A move that fails leaves the channel as it was: going back to a primary that is still dead
        must not cost the viewers the standby.
        """
        async with self._acting:
            if feed is not self.feed:
                return await self._move(feed)
            there = self.on_air(datetime.now(UTC))
            return self._outcome(self._run, feed) if there else await self._restart()

    async def refit(self) -> None:
        """Publish anew if features were switched meanwhile; not while an action is under way."""
        if self._acting.locked() or not self._is_outdated:
            return
        async with self._acting:
            # Rejected: the old picture is better than none, and the next look tries again.
            with suppress(BreakerOpen):
                await self._publish(self.feed, replacing=True)

    async def close(self) -> None:
        """Go off the air for good; not while an action is under way."""
        await self._stop()

    def on_air(self, now: datetime) -> bool:
        """Whether frames advance."""
        return self._run.on_air(now, patience=self._patience)

    @property
    def preview(self) -> Path | None:
        """The latest still picture; none while there is to be none, or nothing to show."""
        if self._publisher is None or not self.on_air(datetime.now(UTC)):
            return None
        return self._preview if self._publisher.picture.previews else None

    def failure(self, now: datetime) -> Failure | None:
        """What is wrong, if anything is and nobody is at work on it."""
        if self._acting.locked():
            return None
        return self._run.failure(now, patience=self._patience)

    def view(self, now: datetime) -> ChannelView:
        """The channel as it is told to others, without stream keys."""
        run, config = self._run, self._config
        status, reason = self._status(now)
        return ChannelView(
            name=self.name,
            status=status,
            reason=reason,
            feed=self.feed,
            ingest=config.shown(self.feed),
            pid=self._publisher.pid if self._publisher and run.exit_code is None else None,
            starts=self._starts,
            frames=run.frames,
            last_frame_at=run.last_frame_at,
            picture=self._publisher.picture if self._publisher else None,
            breakers={each: self._holdfast.breaker(config.ingest(each)).status for each in Feed},
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

    @property
    def _is_outdated(self) -> bool:
        if self._publisher is None or not self.on_air(datetime.now(UTC)):
            return False
        return self._publisher.picture != Picture.of(self._holdfast.feature)

    def _status(self, now: datetime) -> tuple[Status, str | None]:
        if self.on_air(now):
            return Status.ON_AIR, None
        if failure := self.failure(now):
            return Status.DOWN, str(failure)
        return Status.STARTING, "its first frame has not come yet"

    async def _restart(self) -> Outcome:
        try:
            publisher = await self._publish(self.feed, replacing=True)
        except BreakerOpen:
            return await self._move(self.feed.other)
        return self._outcome(publisher.run, self.feed)

    async def _move(self, feed: Feed) -> Outcome:
        try:
            candidate = await self._publish(feed, replacing=False)
        except BreakerOpen as rejected:
            return self._rejection(rejected, feed)
        outcome = self._outcome(candidate.run, feed)
        if outcome.done:
            # In its place before the other one goes: whoever is broken off here leaves no ffmpeg.
            before, self._publisher, self.feed = self._publisher, candidate, feed
            if before:
                await before.stop()
        else:
            await candidate.stop()
        return outcome

    async def _stop(self) -> None:
        if self._publisher:
            await self._publisher.stop()

    async def _publish(self, feed: Feed, *, replacing: bool) -> Publisher:
        """Start a publisher and wait for its first frame; it may come back dead or still mute.

        Args:
            feed: Where.
            replacing: Whether it takes the present publisher's place, which then has to go first:
                an ingest takes one at a time.

        Raises:
            BreakerOpen: The ingest is being spared, and for longer than we have patience.
        """
        patient_until = datetime.now(UTC) + REJECTION_PATIENCE
        while True:
            try:
                return await self._call(feed, replacing=replacing)
            except BreakerOpen as rejected:
                # In half-open it has asked for a probe's lease by that, and may soon have it.
                if datetime.now(UTC) + rejected.retry_after > patient_until:
                    raise
            await asyncio.sleep(PAUSE.total_seconds())

    async def _call(self, feed: Feed, *, replacing: bool) -> Publisher:
        """Publish, as one call for the ingest's breaker: it passes with the first frame."""
        async with self._holdfast.breaker(self._config.ingest(feed)) as call:
            if replacing:
                await self._stop()
            begun = datetime.now(UTC)
            while True:
                publisher = await self._start(feed, until=begun + ACTION_TIMEOUT)
                if replacing:
                    self._publisher = publisher
                is_late = datetime.now(UTC) > begun + REFUSAL_PATIENCE
                if is_late or not publisher.run.was_refused:
                    break
                await asyncio.sleep(PAUSE.total_seconds())
            if not publisher.run.has_begun:
                call.fail("no frame was taken")
            return publisher

    async def _start(self, feed: Feed, *, until: datetime) -> Publisher:
        self._starts += 1
        picture, preview = Picture.of(self._holdfast.feature), self._preview
        publisher = await Publisher.start(self._config, feed, picture, preview=preview)
        try:
            await publisher.decided(within=until - datetime.now(UTC))
        except asyncio.CancelledError:
            await publisher.stop()
            raise
        return publisher

    def _rejection(self, rejected: BreakerOpen, feed: Feed) -> Outcome:
        reason = str(rejected)
        return Outcome(done=False, channel=self.name, feed=feed, reason=reason, stderr=[])

    def _outcome(self, run: Run, feed: Feed) -> Outcome:
        failure = None
        if not run.has_begun:
            failure = run.failure(datetime.now(UTC), patience=timedelta())
        return Outcome(
            done=run.has_begun,
            channel=self.name,
            feed=feed,
            reason=str(failure) if failure else None,
            stderr=list(run.stderr_tail),
        )

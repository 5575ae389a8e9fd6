"""Owns the run: what is known of one publishing ffmpeg, and what that says about its channel."""

import signal
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self


class Fault(StrEnum):
    """The ways in which a channel goes off the air, by the names under which they are reported."""

    PROCESS_DIED = "StreamProcessDied"
    REFUSED = "RtmpConnectionRefused"
    LOST = "RtmpConnectionLost"
    NO_FRAMES = "NoFrames"


@dataclass(frozen=True)
class Failure:
    """Why a channel is off the air, in a word and in a sentence."""

    fault: Fault
    message: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.message}"


# What ffmpeg 9.0 writes to stderr, as measured. The ingest is not there: "Connection refused",
# and it exits at once. The ingest went away, killed or in good order: "Broken pipe" with the next
# packet; "Connection reset by peer" when it left during the handshake or with packets unread.
# A name that does not resolve says only "Cannot open connection" before a bare I/O error.
_REFUSED = "Connection refused"
_LOST = (
    "Broken pipe",
    "Connection reset by peer",
    "Connection timed out",
    "Cannot read RTMP handshake response",
    "Cannot open connection",
    "End of file",
)


@dataclass(frozen=True)
class Run:
    """One ffmpeg from start to end; each thing that happens to it gives the next ``Run``.

    Attributes:
        started_at: When it was started.
        frames: How many frames it has encoded.
        last_frame_at: When that number last grew.
        exit_code: Its exit status, negative for a signal; none while it runs.
        stderr_tail: The last lines that it complained with.
    """

    started_at: datetime
    frames: int = 0
    last_frame_at: datetime | None = None
    exit_code: int | None = None
    stderr_tail: tuple[str, ...] = ()

    def advanced(self, frames: int, *, now: datetime) -> Self:
        """With ffmpeg's latest frame count, which it repeats while it is stuck."""
        if frames <= self.frames:
            return self
        return replace(self, frames=frames, last_frame_at=now)

    def ended(self, exit_code: int, stderr_tail: tuple[str, ...]) -> Self:
        """Exited, with its last words."""
        return replace(self, exit_code=exit_code, stderr_tail=stderr_tail)

    def on_air(self, now: datetime, *, patience: timedelta) -> bool:
        """Whether it runs and its frames advanced within ``patience``."""
        if self.exit_code is not None or self.last_frame_at is None:
            return False
        return now - self.last_frame_at <= patience

    @property
    def has_begun(self) -> bool:
        """Whether it got as far as its first frame and goes on."""
        return self.exit_code is None and self.frames > 0

    @property
    def was_refused(self) -> bool:
        """Whether it ended because nobody listened at its ingest."""
        return bool(self.exit_code) and _REFUSED in "\n".join(self.stderr_tail)

    def failure(self, now: datetime, *, patience: timedelta) -> Failure | None:
        """What is wrong with it; nothing, too, while it may still bring its first frames."""
        if self.exit_code is not None:
            return self._death(self.exit_code)
        quiet = now - (self.last_frame_at or self.started_at)
        if quiet <= patience:
            return None
        return Failure(Fault.NO_FRAMES, f"no new frame for {quiet.total_seconds():.1f} s")

    def _death(self, exit_code: int) -> Failure:
        words = "\n".join(self.stderr_tail)
        # A signal explains itself, whatever ffmpeg managed to say before.
        if exit_code < 0:
            name = signal.Signals(-exit_code).name
            return Failure(Fault.PROCESS_DIED, f"ffmpeg was killed by {name}")
        if self.was_refused:
            return Failure(Fault.REFUSED, "the ingest refused the connection")
        if found := next((phrase for phrase in _LOST if phrase in words), None):
            return Failure(Fault.LOST, f"the connection to the ingest was lost: {found}")
        last = self.stderr_tail[-1] if self.stderr_tail else "it said nothing"
        return Failure(Fault.PROCESS_DIED, f"ffmpeg exited with status {exit_code}: {last}")

"""What the service tells of a channel, and of an action on it."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel

from examples.channels.picture import Picture
from examples.channels.settings import Feed
from holdfast.domain.breaker import BreakerStatus


class Status(StrEnum):
    """Whether viewers see the channel."""

    ON_AIR = "on_air"
    STARTING = "starting"
    DOWN = "down"


class ChannelView(BaseModel):
    """What the service tells of a channel.

    Attributes:
        starts: How many times it has started an ffmpeg.
        picture: What the present one makes.
        breakers: Whether its ingests are being spared, as this process goes by it.
    """

    name: str
    status: Status
    reason: str | None
    feed: Feed
    ingest: str
    pid: int | None
    starts: int
    frames: int
    last_frame_at: AwareDatetime | None
    picture: Picture | None
    breakers: dict[Feed, BreakerStatus]


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

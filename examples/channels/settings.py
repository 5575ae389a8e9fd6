"""Owns the settings: the environment of the service, and the YAML file that lists its channels."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AnyHttpUrl, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

RtmpUrl = Annotated[str, Field(pattern=r"^rtmps?://[^/\s]+/\S+$")]


def _seconds(value: Any) -> Any:
    """Let ``5`` and ``2.5`` mean seconds in the environment, beside ISO 8601 (``PT5S``)."""
    return float(value) if isinstance(value, str) and value[:1].isdigit() else value


Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0))]


class Feed(StrEnum):
    """Which of a channel's two ingests it publishes to."""

    PRIMARY = "primary"
    STANDBY = "standby"

    @property
    def other(self) -> "Feed":
        """The one of the two that it isn't."""
        return Feed.STANDBY if self is Feed.PRIMARY else Feed.PRIMARY


class ChannelConfig(BaseModel):
    """One channel of the file: its name and where it may publish.

    The last part of an RTMP URL is usually the stream key, a secret: :meth:`shown` and
    :meth:`without_keys` are for whatever leaves this process.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")
    primary: RtmpUrl
    standby: RtmpUrl

    def url(self, feed: Feed) -> str:
        """The feed's URL with its stream key."""
        return self.primary if feed is Feed.PRIMARY else self.standby

    def ingest(self, feed: Feed) -> str:
        """The name of the feed's ingest, as the policy file has it and its breaker goes by."""
        return self.ingest_of(self.name, feed)

    @staticmethod
    def ingest_of(channel: str, feed: Feed) -> str:
        """The name of an ingest of the channel of that name."""
        return f"ingest-{channel}-{feed}"

    def shown(self, feed: Feed) -> str:
        """The feed's URL without its stream key."""
        return self.url(feed).rpartition("/")[0]

    def without_keys(self, text: str) -> str:
        """The text, an ffmpeg error say, with both URLs cut as :meth:`shown` cuts them."""
        for feed in Feed:
            text = text.replace(self.url(feed), self.shown(feed))
        return text


class ChannelFile(BaseModel):
    """The YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[ChannelConfig, ...] = Field(min_length=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check the file.

        Raises:
            OSError: It can't be read.
            pydantic.ValidationError: It is not a list of channels.
        """
        return cls.model_validate(yaml.safe_load(path.read_text()))


class Settings(BaseSettings):
    """The service's settings, each from the environment variable ``CHANNELS_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="CHANNELS_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="The address that the service listens on.")
    port: int = Field(8100, ge=1, le=65535, description="The port that the service listens on.")
    config: Path = Field(
        Path(__file__).with_name("channels.yaml"), description="The file of channels."
    )
    no_frames_after: Duration = Field(
        timedelta(seconds=5), description="Without a new frame for so long, a channel is down."
    )
    report_every: Duration = Field(
        timedelta(seconds=2), description="How often a channel that stays down is reported."
    )
    action_secret: SecretStr | None = Field(
        None, description="The Standard Webhooks secret that actions must be signed with."
    )
    holdfast_url: AnyHttpUrl = Field(
        AnyHttpUrl("http://127.0.0.1:8000"), validation_alias="HOLDFAST_URL"
    )
    holdfast_key: SecretStr = Field(validation_alias="HOLDFAST_KEY")

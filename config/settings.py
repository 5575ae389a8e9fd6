"""Owns the settings of a process: how to reach the other parts and where to keep things.

Read once, at a process's composition root, from the environment; nothing reads the environment
elsewhere. Temporal's own settings (``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``,
``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_*``) keep their standard names and are read by
``temporalio.envconfig`` in ``config/temporal.py``.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting, each from the environment variable ``HOLDFAST_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", frozen=True, extra="ignore")

    home: Path = Field(Path(".holdfast"), description="Where the standalone system keeps its data.")
    config: Path = Field(Path("holdfast.yaml"), description="The policy file.")
    host: str = Field("127.0.0.1", description="The address that the API listens on.")
    port: int = Field(8000, ge=1, le=65535, description="The port that the API listens on.")
    temporal_port: int = Field(7233, ge=1, le=65535, description="The embedded Temporal's port.")
    temporal_ui_port: int = Field(
        8233, ge=1, le=65535, description="The embedded Temporal UI's port."
    )
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL, as postgresql://user:password@host:port/database."
    )
    admin_key: SecretStr | None = Field(
        None, min_length=16, description="The admin's API key; made at first start when not set."
    )
    link_secret: SecretStr | None = Field(
        None, min_length=16, description="Signs the one-time links in emails."
    )
    public_url: str | None = Field(
        None, description="Where people reach the API; links in pages start with it."
    )
    temporal_ui_url: str | None = Field(
        None, description="Where people reach the Temporal UI; links in pages start with it."
    )
    task_queue: str = Field("holdfast", description="The Temporal task queue of the workers.")
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

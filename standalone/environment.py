"""Owns the environment variables that the children see: all their settings, and nothing stray."""

import os
from collections.abc import Mapping

from pydantic import SecretStr

from config.settings import Settings

# What a person has set for other servers must not reach these: their Temporal's API key, their
# PostgreSQL's port.
NOT_INHERITED = ("HOLDFAST_", "TEMPORAL_", "PG")


def for_stores() -> dict[str, str]:
    """What PostgreSQL and Temporal get: no secret of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}


def for_services(
    settings: Settings, *, temporal_address: str, extra: Mapping[str, str]
) -> dict[str, str]:
    """What the API, the worker and the migrations get: every setting, spelled out."""
    return {
        **for_stores(),
        **{
            f"HOLDFAST_{name.upper()}": _as_text(value)
            for name, value in settings
            if value is not None
        },
        "PYTHONUNBUFFERED": "1",
        "TEMPORAL_ADDRESS": temporal_address,
        # A person's own Temporal profiles are for other servers too.
        "TEMPORAL_CONFIG_FILE": os.devnull,
        **extra,
    }


def _as_text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

"""How a service's client is set: by arguments, and for what they leave out by the environment."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from holdfast.domain.model import NAME
from holdfast.errors import ConfigurationError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True)
class Settings:
    """What a client needs to know; empty where it is off.

    Attributes:
        url: Where Holdfast's API answers, without a slash at the end.
        key: The API key.
        service: The name under which the process reports.
        spill: The folder for what could not be sent; None to write nothing to disk.
        off: Whether nothing is to be sent at all.
    """

    url: str
    key: str = field(repr=False)
    service: str | None
    spill: Path | None
    off: bool

    @classmethod
    def read(
        cls,
        url: str | None,
        key: str | None,
        *,
        service: str | None,
        spill: Path | str | None,
        off: bool | None,
        environment: Mapping[str, str],
    ) -> Self:
        """Put arguments and environment together; an argument wins over its variable.

        Args:
            url: Else ``HOLDFAST_URL``.
            key: Else ``HOLDFAST_KEY``.
            service: Else ``HOLDFAST_SERVICE``.
            spill: A folder; an empty string for ``HOLDFAST_SPILL``, else one of this user's own in
                the system's temporary folder. ``HOLDFAST_SPILL=off`` and None write nothing.
            off: Else ``HOLDFAST_OFF``.
            environment: The process's variables.

        Raises:
            ConfigurationError: Something is missing or can't be what it should be.
        """
        service = service or environment.get("HOLDFAST_SERVICE") or None
        if service and not re.fullmatch(NAME, service):
            raise ConfigurationError(
                f"Holdfast's service is {service!r}; expected letters, digits, '.', '_' and '-'"
            )
        if off is None:
            off = _switch(environment, "HOLDFAST_OFF")
        if off:
            return cls(url="", key="", service=service, spill=None, off=True)
        return cls(
            url=_url(environment.get("HOLDFAST_URL", "") if url is None else url),
            key=_key(environment.get("HOLDFAST_KEY", "") if key is None else key),
            service=service,
            spill=_folder(spill, environment),
            off=False,
        )


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in _TRUE | _FALSE:
        raise ConfigurationError(f"{name} is {value!r}; expected 1 or 0")
    return value in _TRUE


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            f"Holdfast's url is {url!r}; expected http(s)://host[:port], as url or HOLDFAST_URL"
        )
    return url.rstrip("/")


def _key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            "Holdfast's key is empty or has characters no key has; give it as key or HOLDFAST_KEY"
        )
    return key


def _folder(spill: Path | str | None, environment: Mapping[str, str]) -> Path | None:
    if spill is None:
        return None
    told = str(spill) or environment.get("HOLDFAST_SPILL", "")
    if told.lower() == "off":
        return None
    # Each user's own, because a folder belongs to whoever was first.
    user = os.getuid() if hasattr(os, "getuid") else "all"
    return Path(told) if told else Path(tempfile.gettempdir()) / f"holdfast-{user}"

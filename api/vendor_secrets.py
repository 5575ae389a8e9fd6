"""Owns the reading of the secrets that check what vendors send."""

import asyncio
from collections.abc import Iterable

import structlog

from config.secrets import Secrets
from holdfast.errors import ConfigurationError

log = structlog.get_logger(__name__)


async def readable(secrets: Secrets, references: Iterable[str]) -> list[str]:
    """Give those that can be read: one that is missing must not silence the other channels."""
    found = []
    for reference in references:
        try:
            found.append(await asyncio.to_thread(secrets.resolve, reference))
        except ConfigurationError as error:
            log.warning("what a vendor sends can't be checked", why=str(error))
    return found

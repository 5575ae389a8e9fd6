"""Owns the manners of every integration that reports: it does no harm."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("holdfast")


@contextmanager
def harmless() -> Iterator[None]:
    """Keep a fault of the telling out of the service's code, which has an error already."""
    try:
        yield
    except Exception:  # At the edge: whatever a request, a log record or an argument may hold.
        logger.exception("An error could not be reported to Holdfast")

"""Runs the worker until it is told to stop: ``python -m worker``."""

import asyncio
import signal
import sys

import structlog

from config.logging import configure_logging
from config.settings import Settings
from holdfast.errors import HoldfastError
from worker.services import working

log = structlog.get_logger(__name__)


async def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; what is under way gets a moment to finish."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with working(settings):
        log.info("the worker is at work", task_queue=settings.task_queue)
        await stop.wait()


if __name__ == "__main__":
    settings = Settings()
    configure_logging(settings)
    try:
        asyncio.run(main(settings))
    except HoldfastError as error:
        sys.exit(f"holdfast worker: {error}")

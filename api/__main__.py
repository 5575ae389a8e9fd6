"""Runs the API until it is told to stop: ``python -m api``."""

import asyncio
import sys
from typing import Final

import structlog
import uvicorn

from api.app import create_app
from api.services import Services
from config.logging import configure_logging
from config.settings import Settings
from holdfast.errors import HoldfastError

log = structlog.get_logger(__name__)

# For requests under way when the end comes; then for the parts to stop, see ``Services.close``.
_GRACE_SECONDS: Final = 1


async def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; what is under way gets a moment to finish."""
    services = await Services.open(settings)
    config = uvicorn.Config(
        create_app(services),
        host=settings.host,
        port=settings.port,
        lifespan="on",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        log_config=None,
    )
    log.info("the API listens", host=settings.host, port=settings.port)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    settings = Settings()
    configure_logging(settings)
    try:
        asyncio.run(main(settings))
    except KeyboardInterrupt:
        # The server passes on the signal that ended it, once everything is closed.
        sys.exit(130)
    except HoldfastError as error:
        sys.exit(f"holdfast api: {error}")

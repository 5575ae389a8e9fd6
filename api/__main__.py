"""Runs the API until it is told to stop: ``python -m api``."""

import asyncio
import resource
import socket
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

# Every client of the event stream takes one; many systems give a process no more than 1024.
_OPEN_FILES: Final = 65_536
# For requests under way when the end comes; then for the parts to stop, see ``Services.close``.
_GRACE_SECONDS: Final = 1


class _Server(uvicorn.Server):
    """A server that does not wait for the clients of the event stream, who would never leave."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._services.feed.end()
        await super().shutdown(sockets)


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
    await _Server(config, services).serve()


def _allow_many_clients() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    settings = Settings()
    configure_logging(settings)
    _allow_many_clients()
    try:
        asyncio.run(main(settings))
    except KeyboardInterrupt:
        # The server passes on the signal that ended it, once everything is closed.
        sys.exit(130)
    except HoldfastError as error:
        sys.exit(f"holdfast api: {error}")

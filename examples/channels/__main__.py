"""``python -m examples.channels``: reads the settings and runs the service."""

import uvicorn

from examples.channels.app import create_app
from examples.channels.settings import Settings


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    settings = Settings()
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, access_log=False)


if __name__ == "__main__":
    main()

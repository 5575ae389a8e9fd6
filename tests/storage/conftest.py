"""The engine on a test's own database, and a server of a test's own."""

import pytest

from storage.database import create_engine
from tests.conftest import start_postgres


@pytest.fixture
async def engine(database_url):
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def server():
    """A server of the test's own, to stop and start."""
    server = start_postgres()
    yield server
    server.cleanup()

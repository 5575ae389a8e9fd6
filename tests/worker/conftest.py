"""The engine on a test's own database, and a real Temporal server."""

import pytest

from storage.database import create_engine
from tests.api.conftest import dev_server


@pytest.fixture
async def engine(database_url):
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def temporal_server():
    async with dev_server() as env:
        yield env

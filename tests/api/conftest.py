"""An API on a real PostgreSQL and a real Temporal server, with workers that act on nothing."""

import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from api.app import create_app
from api.services import Services
from config.settings import Settings
from config.temporal import ensure_search_attributes
from storage.migrate import migrate
from tests.api.stage import ADMIN_KEY, POLICY, SERVICE, Stage, client_of, staged
from tests.conftest import start_postgres

FLAGS = ("history.transferProcessorMaxPollRPS=2000", 'history.timerProcessorMaxTimeShift="10ms"')


@asynccontextmanager
async def dev_server() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server of one's own."""
    env = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_extra_args=[arg for flag in FLAGS for arg in ("--dynamic-config-value", flag)],
        data_converter=pydantic_data_converter,
    )
    try:
        await ensure_search_attributes(env.client)
        yield env
    finally:
        await env.shutdown()


def port_of(env: WorkflowEnvironment) -> int:
    return int(env.client.service_client.config.target_host.rpartition(":")[2])


@pytest.fixture(scope="session")
async def temporal_server() -> AsyncIterator[WorkflowEnvironment]:
    """The session's Temporal; never stop it, others are on it."""
    async with dev_server() as env:
        yield env


@pytest.fixture
def server():
    """A PostgreSQL of the test's own, to stop and start."""
    server = start_postgres()
    yield server
    server.cleanup()


@pytest.fixture
def service() -> str:
    """The service of the policy, of the test's own."""
    return f"svc-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def policy_file(tmp_path, service) -> Path:
    path = tmp_path / "holdfast.yaml"
    path.write_text(POLICY.replace(SERVICE, service))
    return path


@pytest.fixture
def settings(database_url, policy_file, temporal_server) -> Settings:
    return Settings(
        config=policy_file,
        database_url=SecretStr(database_url),
        admin_key=SecretStr(ADMIN_KEY),
        temporal_port=port_of(temporal_server),
        # Of the test's own, so that tests on one server don't meet.
        task_queue=f"test-{uuid.uuid4()}",
    )


@pytest.fixture
async def settings_apart(settings, server) -> Settings:
    """Settings for a PostgreSQL of the test's own, which it stops and starts: ``server``."""
    await migrate(server.get_uri())
    return settings.model_copy(update={"database_url": SecretStr(server.get_uri())})


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Services]:
    services = await Services.open(settings)
    try:
        yield services
    finally:
        await services.close()


@pytest.fixture
async def services(settings) -> AsyncIterator[Services]:
    async with opened(settings) as services:
        # A busy machine may take its time to open an incident, whose id tests want to know.
        services.reception.courtesy = timedelta(seconds=10)
        yield services


@pytest.fixture
def app(services) -> FastAPI:
    return create_app(services)


@pytest.fixture
async def client(app) -> AsyncIterator[httpx.AsyncClient]:
    """The admin's client."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def stage(services) -> AsyncIterator[Stage]:
    """Workers, for tests in which workflows run."""
    async with staged(services) as stage:
        yield stage

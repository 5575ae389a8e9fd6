"""A real Temporal server that skips time, and a small world for the workflows to act on."""

import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from config import search_attributes
from tests.workflows.night import Nights
from tests.workflows.world import World, working

FLAGS = {
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "history.transferProcessorMaxPollRPS": "2000",
    # A long history is short here, so that a test reaches it.
    "limit.historyCount.suggestContinueAsNew": "150",
}
SKIPPING = FLAGS | {"frontend.WorkflowTimeSkippingEnabled": "true"}


def _server(flags: dict[str, str]) -> dict[str, Any]:
    arguments = [("--dynamic-config-value", f"{name}={value}") for name, value in flags.items()]
    return {
        "dev_server_existing_path": str(Path(sys.executable).parent / "temporal"),
        "dev_server_extra_args": [each for pair in arguments for each in pair],
        "data_converter": pydantic_data_converter,
        "search_attributes": search_attributes.ALL,
    }


@pytest.fixture(scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A real server on which hours of an idle workflow pass in milliseconds."""
    env = await WorkflowEnvironment.start_time_skipping_v2(**_server(SKIPPING))
    yield env
    await env.shutdown()


@pytest.fixture(scope="session")
async def unhurried() -> AsyncIterator[WorkflowEnvironment]:
    """A real server whose clock is everybody's."""
    env = await WorkflowEnvironment.start_local(**_server(FLAGS))
    yield env
    await env.shutdown()


@pytest.fixture
async def world(skipping: WorkflowEnvironment) -> AsyncIterator[World]:
    """A world with a worker; incidents' actions are answered by the world itself."""
    world = World(client=skipping.client, task_queue=f"test-{uuid.uuid4()}")
    async with working(world):
        yield world


@pytest.fixture
def service() -> str:
    """A service of a test's own, so that tests on one server don't meet."""
    return f"svc-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def unhurried_world(unhurried: WorkflowEnvironment) -> AsyncIterator[World]:
    """A world in which a minute is a minute."""
    world = World(client=unhurried.client, task_queue=f"test-{uuid.uuid4()}")
    async with working(world):
        yield world


@pytest.fixture
async def unhurried_world_with_recovery(unhurried: WorkflowEnvironment) -> AsyncIterator[World]:
    """A world in which actions go through the services' recovery workflows.

    Time isn't skipped: an incident that waits for another workflow looks idle to the server.
    """
    world = World(client=unhurried.client, task_queue=f"test-{uuid.uuid4()}")
    async with working(world, recovery=True):
        yield world


@pytest.fixture
def nights(skipping: WorkflowEnvironment, world: World) -> Nights:
    """Incidents whose time passes when the test says so."""
    return Nights(skipping, world)

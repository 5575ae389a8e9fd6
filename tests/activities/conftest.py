import os
import socket
import sys
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from config.secrets import Secrets
from examples.stand_ins.slack import SlackStandIn
from holdfast.domain.notification import Headline, Notification, NotificationKind
from holdfast.domain.policy import Policy
from tests.activities.stand_in import Service

SLACK_TOKEN = "xoxb-stand-in-token"


@pytest_asyncio.fixture
async def service():
    service = Service()
    await service.start()
    yield service
    await service.stop()
    service.verify()


@pytest_asyncio.fixture
async def slack():
    async with SlackStandIn(SLACK_TOKEN, channels={"#ops", "U0000ANNA"}) as slack:
        yield slack
    # Anything else that it refused is a request that it did not expect.
    assert set(slack.refusals) <= {"invalid_auth", "channel_not_found"}


@pytest_asyncio.fixture
async def http():
    # With what a careless composition root may set: our requests follow no redirect even so.
    async with httpx.AsyncClient(follow_redirects=True, timeout=0.001) as http:
        yield http


@pytest.fixture
def secrets():
    return Secrets(
        {
            "PATH": os.environ["PATH"],
            "SERVICE_KEY": "key-of-the-service",
            "SIGNING": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "PLAIN_SIGNING": "a plain secret, ünicode",
            "SLACK_TOKEN": SLACK_TOKEN,
        }
    )


@pytest.fixture
def activity_environment():
    return ActivityEnvironment()


@pytest.fixture
def closed_url():
    """An address that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest_asyncio.fixture(scope="session")
async def temporal_server():
    server = await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
        dev_server_log_level="error",
        dev_server_extra_args=[
            "--dynamic-config-value",
            "history.transferProcessorMaxPollRPS=2000",
            "--dynamic-config-value",
            'history.timerProcessorMaxTimeShift="10ms"',
        ],
    )
    yield server
    await server.shutdown()


@pytest.fixture
def make_policy():
    def make(**parts):
        return Policy.model_validate(parts)

    return make


@pytest.fixture
def make_notification():
    def make(kind=NotificationKind.PAGE, *, channel="team", to=None, reply_to=None, **changes):
        headline = {
            "incident_id": "incident-1",
            "workflow_id": "incident:channels:a1b2",
            "service": "channels",
            "category": "stream_failure",
            "severity": "critical",
            "status": "escalated",
            "title": "StreamLost: no data for 10 s",
            "report_count": 42,
            "opened_at": "2026-03-01T03:14:15Z",
            "reason": "error type StreamLost",
            "tried": ("restart: failed, answered 500",),
            "outlook": "Level 2 is paged at 03:20:00 UTC unless somebody acknowledges.",
        }
        return Notification.model_validate(
            {
                "id": f"incident-1:{kind.value}:{uuid4()}",
                "kind": kind,
                "target": {"channel": channel, "to": to},
                "level": 1,
                "round": 1,
                "headline": Headline.model_validate(headline | changes),
                "reply_to": reply_to,
            }
        )

    return make

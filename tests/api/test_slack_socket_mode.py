"""Clicks and commands over Socket Mode, against a stand-in that speaks Slack's side of it."""

import asyncio
import json
from datetime import timedelta

import pytest
from aiohttp import WSMsgType, web

from api.slack.desk import SlackDesk
from api.slack.sockets import SlackSockets
from config.secrets import Secrets
from holdfast.domain.custody import Actor, Via
from holdfast.domain.policy import Policy
from tests.activities.stand_in import Service, answers, eventually
from tests.api.people_desk import INCIDENT, PeopleDesk

APP_TOKEN = "xapp-1-A1-stand-in"
ADA = Actor(name="ada", person="ada", via=Via.SLACK)


class SocketModeStandIn:
    """Opens connections for one app token; ``acknowledged`` are the envelopes it need not send
    again."""

    def __init__(self):
        self.acknowledged = []
        self.connections = []
        self.asked = 0
        self.refuses = None
        self._port = 0

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self._port}/api/"

    async def start(self):
        app = web.Application()
        app.router.add_post("/api/apps.connections.open", self._open)
        app.router.add_get("/link", self._link)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self):
        await self._runner.cleanup()

    async def send(self, **message):
        await self.connections[-1].send_json(message)

    async def _open(self, request):
        self.asked += 1
        if request.headers.get("Authorization") != f"Bearer {APP_TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if self.refuses:
            return self.refuses
        return web.json_response({"ok": True, "url": f"ws://127.0.0.1:{self._port}/link"})

    async def _link(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections.append(socket)
        await socket.send_json({"type": "hello", "num_connections": 1})
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            self.acknowledged.append(json.loads(message.data)["envelope_id"])
        return socket


@pytest.fixture
async def slack():
    slack = SocketModeStandIn()
    await slack.start()
    yield slack
    await slack.stop()


@pytest.fixture
async def service():
    service = Service()
    await service.start()
    yield service
    await service.stop()
    service.verify()


@pytest.fixture
def typed():
    return []


@pytest.fixture
async def sockets(slack, desk):
    channel = {"kind": "slack", "token": "${BOT}", "base_url": slack.base_url}
    policy = Policy.model_validate(
        {
            "people": {"ada": {"contacts": [{"channel": "team", "to": "U0ADA"}]}},
            "channels": {
                "team": channel | {"app_token": "${APP}"},
                "again": channel | {"app_token": "${APP}"},
                "unheard": channel,
                "broken": channel | {"app_token": "${ABSENT}"},
            },
        }
    )
    slack_desk = desk(policy)
    secrets = Secrets({"APP": APP_TOKEN})
    sockets = SlackSockets(desk=slack_desk, policy=lambda: policy, secrets=secrets)
    yield sockets
    await sockets.stop()
    await slack_desk.stop()


@pytest.fixture
def incidents():
    return PeopleDesk()


@pytest.fixture
def desk(incidents, typed):
    async def obey(text, by):
        typed.append((text, by))
        return "done"

    def make(policy):
        return SlackDesk(
            incidents=incidents,
            obey=obey,
            policy=lambda: policy,
            patience=timedelta(milliseconds=500),
        )

    return make


def click(user="U0ADA", response_url=None, value=INCIDENT):
    element = {"type": "button", "action_id": "holdfast.acknowledge", "value": value}
    return {
        "type": "block_actions",
        "user": {"id": user},
        "response_url": response_url,
        "actions": [element | {"block_id": "holdfast.actions"}],
    }


async def test_a_click_is_acknowledged_and_done(slack, sockets, incidents):
    """As over HTTP; two channels of one app share a connection."""
    await sockets.start()
    await eventually(lambda: bool(slack.connections))
    await slack.send(type="interactive", envelope_id="e1", payload=click())
    await eventually(lambda: bool(incidents.deeds))
    assert [each[:3] for each in incidents.deeds] == [("acknowledge", INCIDENT, ADA)]
    await eventually(lambda: slack.acknowledged == ["e1"])
    assert len(slack.connections) == 1


async def test_somebody_unknown_is_told_privately(slack, sockets, incidents, service):
    """The channel is the one with the app's token."""
    service.expect("POST /response", answers())
    await sockets.start()
    await eventually(lambda: bool(slack.connections))
    payload = click("U0NOBODY", f"{service.url}/response")
    await slack.send(type="interactive", envelope_id="e1", payload=payload)
    await eventually(lambda: bool(service.requests))
    assert "{channel: team, to: U0NOBODY}" in service.request.json["text"]
    assert incidents.deeds == []


async def test_a_command_is_obeyed_and_answered(slack, sockets, typed, service):
    """Privately, through the URL that came with it."""
    service.expect("POST /response", answers())
    await sockets.start()
    await eventually(lambda: bool(slack.connections))
    command = {"command": "/holdfast", "text": "list", "user_id": "U0ADA"}
    command["response_url"] = f"{service.url}/response"
    await slack.send(type="slash_commands", envelope_id="e2", payload=command)
    await eventually(lambda: bool(service.requests))
    assert typed == [("list", ADA)]
    assert service.request.json["text"] == "done"
    assert slack.acknowledged == ["e2"]


async def test_what_cannot_be_read_disturbs_nothing(slack, sockets, incidents):
    """It is acknowledged, or Slack would send it again and again."""
    await sockets.start()
    await eventually(lambda: bool(slack.connections))
    await slack.send(type="interactive", envelope_id="e1", payload={"type": "block_actions"})
    await slack.send(type="events_api", envelope_id="e2", payload={})
    await slack.send(type="interactive", envelope_id="e3", payload=click())
    await eventually(lambda: bool(incidents.deeds))
    assert sorted(slack.acknowledged) == ["e1", "e2", "e3"]


async def test_a_connection_that_slack_ends_is_opened_again(slack, sockets, incidents):
    """Slack moves connections every few hours, and says so."""
    await sockets.start()
    await eventually(lambda: bool(slack.connections))
    await slack.send(type="disconnect", reason="refresh_requested")
    await eventually(lambda: len(slack.connections) == 2)
    await slack.send(type="interactive", envelope_id="e1", payload=click())
    await eventually(lambda: bool(incidents.deeds))


async def test_a_refused_token_is_not_tried_again(slack, sockets):
    """Somebody has to put it right; the process works without."""
    slack.refuses = web.json_response({"ok": False, "error": "invalid_auth"})
    await sockets.start()
    (connecting,) = sockets._tasks
    await asyncio.wait_for(connecting, 5)
    assert (slack.asked, slack.connections) == (1, [])


async def test_a_start_does_not_wait_for_slack(slack, sockets):
    """The process serves while Slack is away, and is stopped as quickly."""
    await slack.stop()
    async with asyncio.timeout(5):
        await sockets.start()
        await sockets.stop()

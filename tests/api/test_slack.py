"""Clicks and typed commands from Slack, over HTTP; Temporal and Slack are played by stand-ins."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import time
from types import SimpleNamespace
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from slack_sdk.signature import SignatureVerifier

from api.problems import MEDIA_TYPE, handle_problems
from api.routes import slack
from api.slack.desk import SlackDesk
from api.slack.front import SlackFront
from api.slack.signature import SlackSignatures
from api.slack.sockets import SlackSockets
from config.secrets import Secrets
from holdfast.domain.custody import Actor, Via
from holdfast.domain.policy import Policy
from holdfast.errors import Unavailable
from tests.activities.stand_in import Service, answers, eventually
from tests.api.people_desk import INCIDENT, OTHER, PeopleDesk

SECRET, OTHERS_SECRET = "8f742231b10e8888abcd99yyyzzz85a5", "another-workspaces-secret"
ADA = Actor(name="Ada Lovelace", person="ada", via=Via.SLACK)
GRACE = Actor(name="grace", person="grace", via=Via.SLACK)
ANSWERED = "POST /response"
# How long Slack is kept waiting: longer than any deed takes here, or not long.
PATIENT, HASTY = timedelta(seconds=20), timedelta(milliseconds=200)
CHANNELS = {
    "team": {"kind": "slack", "token": "${TOKEN}", "signing_secret": "${SECRET}"},
    "others": {"kind": "slack", "token": "${TOKEN}", "signing_secret": "${OTHERS_SECRET}"},
}
PEOPLE = {
    "ada": {"name": "Ada Lovelace", "contacts": [{"channel": "team", "to": "U0ADA"}]},
    "grace": {"contacts": [{"channel": "others", "to": "U0GRACE"}]},
}


class Workspace:
    """Slack, as far as it calls the API, and the API with Slack's routes alone."""

    def __init__(self, service, channels, patience):
        self.service = service
        self.desk = PeopleDesk()
        self.typed = []
        self.answer = "done"
        self.released = asyncio.Event()
        self.released.set()
        policy = Policy.model_validate({"people": PEOPLE, "channels": channels})
        secrets = Secrets({"SECRET": SECRET, "OTHERS_SECRET": OTHERS_SECRET})
        self.front = SlackFront(
            signatures=SlackSignatures(policy=lambda: policy, secrets=secrets),
            desk=SlackDesk(
                incidents=self.desk,
                obey=self._obey,
                policy=lambda: policy,
                patience=patience,
            ),
            sockets=SlackSockets(desk=None, policy=lambda: policy, secrets=secrets),
        )
        self._app = FastAPI()
        handle_problems(self._app)
        self._app.include_router(slack.router)
        self._app.state.services = SimpleNamespace(slack=self.front)

    async def _obey(self, text, by):
        await self.released.wait()
        self.typed.append((text, by))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def click(self, action, **more):
        payload = interaction(self.service, action, **more)
        return await self.send("/slack/interactions", {"payload": json.dumps(payload)})

    async def type(self, text, user="U0ADA"):
        form = {"command": "/holdfast", "text": text, "user_id": user, "channel_id": "C1"}
        form["response_url"] = f"{self.service.url}/response"
        return await self.send("/slack/commands", form)

    async def send(self, path, form, *, secret=SECRET, at=None, headers=None):
        body = urlencode(form) if isinstance(form, dict) else form
        at = str(int(time() if at is None else at))
        signature = SignatureVerifier(secret).generate_signature(timestamp=at, body=body)
        signed = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": at,
            "X-Slack-Signature": signature,
        }
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            return await client.post(path, content=body, headers=signed | (headers or {}))

    @property
    def told(self):
        """What people were told privately, one after the other."""
        for each in self.service.requests:
            assert each.json["response_type"] == "ephemeral"
            assert each.json["replace_original"] is False
        return [each.json["text"] for each in self.service.requests]


def interaction(
    service, action, *, value=INCIDENT, user="U0ADA", block="holdfast.actions", **others
):
    """A click, as Slack's documentation shows it."""
    element = {"type": "button", "action_id": action, "block_id": block, "value": value}
    if action == "holdfast.snooze":
        del element["value"]
        element |= {"type": "static_select", "selected_option": {"value": value}}
    return {
        "type": "block_actions",
        "user": {"id": user, "username": "ada", "name": "ada", "team_id": "T1"},
        "api_app_id": "A1",
        "container": {"type": "message", "message_ts": "1.1", "channel_id": "C1"},
        "trigger_id": "1.2.3",
        "team": {"id": "T1", "domain": "acme"},
        "channel": {"id": "C1", "name": "ops"},
        "message": {"type": "message", "ts": "1.1", "text": "[CRITICAL] channels"},
        "state": {"values": {}},
        "response_url": f"{service.url}/response",
        "actions": [element | {"action_ts": "1.4"}],
    } | others


@asynccontextmanager
async def opened(channels, *, patience=PATIENT):
    service = Service()
    workspace = Workspace(service, channels, patience)
    await service.start()
    try:
        yield workspace
    finally:
        await workspace.front.stop()
        await service.stop()
    service.verify()


@pytest.fixture
async def workspace():
    async with opened(CHANNELS) as workspace:
        yield workspace


def refused(answer, status):
    """What a problem document says."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, MEDIA_TYPE)
    return answer.json()["detail"]


@pytest.mark.parametrize("verb", ["acknowledge", "resolve", "escalate"])
async def test_a_click_is_done_as_the_person_who_clicked(workspace, verb):
    """The page shows what came of it: nobody is told besides."""
    answer = await workspace.click(f"holdfast.{verb}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert [each[:3] for each in workspace.desk.deeds] == [(verb, INCIDENT, ADA)]
    assert workspace.told == []


async def test_whoever_has_it_gives_it_back(workspace):
    """Escalation goes on."""
    workspace.desk.put(INCIDENT, acknowledged_by="Ada Lovelace", acknowledged_at=datetime.now(UTC))
    assert (await workspace.click("holdfast.unacknowledge")).status_code == 200
    assert [each[:3] for each in workspace.desk.deeds] == [("unacknowledge", INCIDENT, ADA)]


async def test_a_snooze_ends_when_the_option_says(workspace):
    """Counted from the click."""
    await workspace.click("holdfast.snooze", value=f"{INCIDENT}|4h")
    ((verb, incident, by, more),) = workspace.desk.deeds
    assert (verb, incident, by) == ("snooze", INCIDENT, ADA)
    left = more["until"] - datetime.now(UTC)
    assert timedelta(hours=3, minutes=59) < left <= timedelta(hours=4)


async def test_the_second_click_is_told_who_has_it(workspace):
    """Privately: two people must not both think that they have it."""
    workspace.service.expect(ANSWERED, answers())
    await workspace.click("holdfast.acknowledge", user="U0GRACE")
    answer = await workspace.click("holdfast.acknowledge")
    assert answer.status_code == 200
    (told,) = workspace.told
    assert told.startswith("Nothing was done: grace has had it since ")


async def test_a_click_on_what_is_over_is_told_so(workspace):
    """With who ended it, and when."""
    workspace.service.expect(ANSWERED, answers())
    await workspace.click("holdfast.resolve", user="U0GRACE")
    await workspace.click("holdfast.acknowledge")
    assert workspace.told[0].startswith("Nothing was done: it was resolved by grace at ")


@pytest.mark.parametrize("block", ["holdfast.reminder", "a1b2c"])
async def test_a_click_elsewhere_than_on_the_page_is_answered(workspace, block):
    """A reminder, or a page of another incident, shows nothing of what came of it."""
    workspace.service.expect(ANSWERED, answers())
    await workspace.click("holdfast.acknowledge", value=OTHER, block=block)
    assert [each[:2] for each in workspace.desk.deeds] == [("acknowledge", OTHER)]
    assert workspace.told[0].startswith("4c1d2e: you have it. channels: ")


async def test_somebody_unknown_does_nothing_and_is_told_how_to_be_known(workspace):
    """With the lines to add, for the channel whose app they clicked in."""
    workspace.service.expect(ANSWERED, answers())
    payload = json.dumps(interaction(workspace.service, "holdfast.acknowledge", user="U0NOBODY"))
    answer = await workspace.send("/slack/interactions", {"payload": payload}, secret=OTHERS_SECRET)
    assert answer.status_code == 200
    assert workspace.desk.deeds == []
    (told,) = workspace.told
    assert "  your-name:\n    contacts:\n      - {channel: others, to: U0NOBODY}" in told
    assert "/api/system/config/reload" in told


async def test_with_temporal_away_the_click_is_told_that_nothing_was_done(workspace):
    """Whoever clicked must not believe that paging stopped."""
    workspace.service.expect(ANSWERED, answers())
    workspace.desk.trouble = Unavailable("Temporal did not answer for <it>: connection refused")
    await workspace.click("holdfast.acknowledge")
    (told,) = workspace.told
    refused = "Temporal did not answer for &lt;it&gt;: connection refused"
    assert told == f"Nothing was done yet: {refused}. Try again in a moment."


class SlowDesk(PeopleDesk):
    """Answers only once it is released."""

    def __init__(self):
        super().__init__()
        self.released = asyncio.Event()

    async def acknowledge(self, incident_id, *, by):
        await self.released.wait()
        return await super().acknowledge(incident_id, by=by)


@pytest.fixture
async def hasty():
    """Where Slack is not kept waiting for long."""
    async with opened(CHANNELS, patience=HASTY) as workspace:
        yield workspace


@pytest.fixture
def slow(hasty):
    hasty.front.desk._incidents = hasty.desk = SlowDesk()
    return hasty


async def test_a_slow_temporal_does_not_make_slack_wait(slow):
    """Slack hears 200 in time; the deed is done behind it, and a refusal told when it comes."""
    answer = await slow.click("holdfast.acknowledge")
    assert answer.status_code == 200
    assert slow.desk.deeds == []
    slow.service.expect(ANSWERED, answers())
    slow.desk.trouble = Unavailable("no worker may be running")
    slow.desk.released.set()
    await eventually(lambda: bool(slow.told))
    assert slow.told[0].startswith("Nothing was done yet: no worker may be running")


async def test_what_is_under_way_ends_with_the_process(slow):
    """Nothing is left running when the stores are closed."""
    await slow.click("holdfast.acknowledge")
    await slow.front.stop()
    slow.desk.released.set()
    await asyncio.sleep(0)
    assert slow.desk.deeds == []


async def test_who_cannot_be_told_is_no_failure(workspace):
    """What was refused is in the log; Slack's trouble is not the incident's."""
    workspace.service.expect(ANSWERED, answers(500))
    workspace.desk.trouble = Unavailable("Temporal is away")
    assert (await workspace.click("holdfast.acknowledge")).status_code == 200


async def test_an_error_of_our_own_is_told_with_where_to_look(workspace):
    """Nothing of itself is shown."""
    workspace.service.expect(ANSWERED, answers())
    workspace.desk.trouble = RuntimeError("the password is 1234")
    assert (await workspace.click("holdfast.acknowledge")).status_code == 200
    assert "under the reference" in workspace.told[0]
    assert "1234" not in workspace.told[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "view_submission"},
        {"actions": [{"type": "button", "action_id": "another-apps", "value": INCIDENT}]},
        {"actions": []},
    ],
)
async def test_what_is_no_click_of_ours_is_taken_and_left(workspace, changes):
    """An app may do more than Holdfast."""
    answer = await workspace.click("holdfast.acknowledge", **changes)
    assert answer.status_code == 200
    assert workspace.desk.deeds == []


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("holdfast.acknowledge", "1' OR HoldfastIncident != '"),
        ("holdfast.acknowledge", ""),
        ("holdfast.snooze", f"{INCIDENT}|for ever"),
    ],
)
async def test_a_value_that_is_none_of_ours_is_refused(workspace, action, value):
    """Nothing but an id may go into a query of Temporal's list."""
    assert "payload is not what Slack documents" in refused(
        await workspace.click(action, value=value), 422
    )
    assert workspace.desk.deeds == []


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({}, "the form holds no payload"),
        ({"payload": "{not json"}, "payload is not what Slack documents"),
        ({"payload": '{"type": "block_actions"}'}, "user: Field required"),
    ],
)
async def test_what_slack_does_not_send_is_refused(workspace, form, told):
    """With what was expected."""
    assert told in refused(await workspace.send("/slack/interactions", form), 422)


@pytest.mark.parametrize("path", ["/slack/interactions", "/slack/commands"])
async def test_a_wrong_signature_is_refused_unread(workspace, path):
    """What it says is not even looked at."""
    answer = await workspace.send(path, "payload={not json", secret="of somebody else")
    assert "compare signing_secret" in refused(answer, 401)


@pytest.mark.parametrize("away", [timedelta(seconds=-310), timedelta(seconds=310)])
async def test_an_old_request_is_refused(workspace, away):
    """It may be a replay; or the clock is wrong, and then somebody has to hear of that."""
    payload = json.dumps(interaction(workspace.service, "holdfast.acknowledge"))
    answer = await workspace.send(
        "/slack/interactions", {"payload": payload}, at=time() + away.total_seconds()
    )
    detail = refused(answer, 401)
    assert "away from this machine's clock" in detail
    assert "5m is allowed" in detail
    assert workspace.desk.deeds == []


async def test_without_a_signing_secret_nothing_is_taken():
    """The message says what to add, and where."""
    channels = {key: {"kind": "slack", "token": "${TOKEN}"} for key in CHANNELS}
    async with opened(channels) as workspace:
        answer = await workspace.click("holdfast.acknowledge")
    assert "add signing_secret to the channel" in refused(answer, 404)


async def test_a_command_is_answered_at_once_and_privately(workspace):
    """As the person who typed it; what is said is no markup."""
    workspace.answer = "3f2d11: you have it. <!channel>"
    answer = await workspace.type("ack 3f2d11")
    assert workspace.typed == [("ack 3f2d11", ADA)]
    assert answer.json() == {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": "3f2d11: you have it. &lt;!channel&gt;",
    }


async def test_a_command_that_takes_long_is_answered_later(hasty):
    """Slack hears 200 in time; what came of it follows."""
    hasty.released.clear()
    answer = await hasty.type("list")
    assert (answer.status_code, answer.content) == (200, b"")
    hasty.service.expect(ANSWERED, answers())
    hasty.released.set()
    await eventually(lambda: bool(hasty.told))
    assert hasty.told == ["done"]


async def test_a_command_of_somebody_unknown_is_answered_with_the_way_in(workspace):
    """Nothing is done, nothing is shown."""
    answer = await workspace.type("list", user="U0NOBODY")
    assert workspace.typed == []
    assert "{channel: team, to: U0NOBODY}" in answer.json()["text"]


async def test_a_command_without_words_is_one_too(workspace):
    """What helps is up to whoever understands the words."""
    await workspace.type("")
    assert workspace.typed == [("", ADA)]

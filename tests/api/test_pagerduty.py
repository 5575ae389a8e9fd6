import hashlib
import hmac
import json
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from api.pagerduty_inbox import PagerDutyInbox
from api.problems import MEDIA_TYPE, handle_problems
from api.routes import pagerduty
from config.secrets import Secrets
from holdfast.domain.custody import Actor, Via
from holdfast.domain.policy import Policy
from holdfast.errors import Unavailable
from tests.api.people_desk import INCIDENT, OTHER, PeopleDesk

SECRET, NEXT_SECRET, OTHERS_SECRET = "secret-of-today", "secret-of-tomorrow", "secret-of-another"
USER = {"id": "PLH1HKV", "type": "user_reference", "summary": "Ada Lovelace"}
ADA = Actor(name="Ada Lovelace", person="ada", via=Via.PAGERDUTY)

POLICY = Policy.model_validate(
    {
        "people": {
            "ada": {
                "name": "Ada Lovelace",
                "contacts": [{"channel": "mail", "to": "ada@holdfast.example"}],
            },
        },
        "channels": {
            "pagerduty": {
                "kind": "pagerduty",
                "routing_key": "${KEY}",
                "webhook_secrets": ["${ABSENT}", "${SECRET}", "${NEXT_SECRET}"],
            },
            "other": {
                "kind": "pagerduty",
                "routing_key": "${KEY}",
                "webhook_secrets": ["${OTHERS_SECRET}"],
            },
            "mail": {
                "kind": "email",
                "host": "mail.example",
                "sender": "holdfast@holdfast.example",
            },
        },
    }
)


def signature(body, *secrets):
    digests = [hmac.new(each.encode(), body, hashlib.sha256).hexdigest() for each in secrets]
    return ",".join(f"v1={each}" for each in digests)


def event(event_type="incident.acknowledged", *, agent=USER, key=f"holdfast:{INCIDENT}", **data):
    """A webhook as PagerDuty's documentation shows it."""
    incident = {
        "id": "PGR0VU2",
        "type": "incident",
        "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2",
        "number": 2,
        "status": "triggered",
        "incident_key": key,
        "created_at": "2026-03-01T03:14:15Z",
        "title": "channels: it is down [holdfast 3f2d11]",
        "service": {"id": "PF9KMXH", "summary": "API Service", "type": "service_reference"},
        "assignees": [],
        "urgency": "high",
        "resolve_reason": None,
    }
    return {
        "event": {
            "id": "5ac64822-4adc-4fda-ade0-410becf0de4f",
            "event_type": event_type,
            "resource_type": "incident",
            "occurred_at": "2026-03-01T03:15:00.169Z",
            "agent": agent,
            "client": {"name": "PagerDuty"},
            "data": incident | data,
        }
    }


class Inbox:
    """An API with PagerDuty's route alone, and what it acts on."""

    def __init__(self):
        self.desk = PeopleDesk()
        self.app = FastAPI()
        handle_problems(self.app)
        self.app.include_router(pagerduty.router)
        secrets = {"SECRET": SECRET, "NEXT_SECRET": NEXT_SECRET, "OTHERS_SECRET": OTHERS_SECRET}
        inbox = PagerDutyInbox(
            policy=lambda: POLICY,
            secrets=Secrets(secrets),
            desk=self.desk,
            book=self.desk.book,
        )
        self.app.state.services = SimpleNamespace(pagerduty=inbox)

    async def tell(self, *args, **changes):
        """Sends an event, signed."""
        body = json.dumps(event(*args, **changes), ensure_ascii=False).encode()
        return await self.send(body, {"X-PagerDuty-Signature": signature(body, SECRET)})

    async def send(self, body, headers):
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
            return await client.post("/pagerduty/webhooks", content=body, headers=headers)


@pytest.fixture
def inbox():
    return Inbox()


@pytest.mark.parametrize(
    ("event_type", "verb", "more"),
    [
        ("incident.acknowledged", "acknowledge", {}),
        ("incident.unacknowledged", "unacknowledge", {}),
        ("incident.resolved", "resolve", {"note": None}),
    ],
)
async def test_what_people_do_in_pagerduty_is_done_here(inbox, event_type, verb, more):
    """By the person whose name PagerDuty tells, if the policy file knows them."""
    response = await inbox.tell(event_type)
    assert (response.status_code, response.content) == (200, b"")
    assert inbox.desk.deeds == [(verb, INCIDENT, ADA, more)]


async def test_an_alerts_incident_is_known_by_the_mark_in_its_title(inbox):
    """Where a service creates alerts and incidents, the alert has the key, not the incident."""
    await inbox.tell(key=None, title="channels: it is down [holdfast 4c1d2e]")
    assert inbox.desk.deeds == [("acknowledge", OTHER, ADA, {})]


@pytest.mark.parametrize(
    ("summary", "person", "name"),
    [
        ("ada lovelace", "ada", "Ada Lovelace"),
        ("Ada", "ada", "Ada Lovelace"),
        ("ada@holdfast.example", "ada", "Ada Lovelace"),
        ("Zażółć Gęślą", None, "Zażółć Gęślą"),
        ("x" * 300, None, "x" * 200),
        (" ", None, "PagerDuty"),
        (None, None, "PagerDuty"),
    ],
)
async def test_who_did_it_is_told_as_well_as_known(inbox, summary, person, name):
    """PagerDuty tells a name; it may be nobody's here."""
    await inbox.tell(agent={"type": "user_reference", "summary": summary})
    assert inbox.desk.deeds[0][2] == Actor(name=name, person=person, via=Via.PAGERDUTY)


async def test_what_nobody_did_there_is_not_done_here(inbox):
    """An acknowledgement times out there: how long ours lasts is the policy's to say."""
    await inbox.tell()
    await inbox.tell("incident.unacknowledged", agent=None)
    assert [deed[0] for deed in inbox.desk.deeds] == ["acknowledge"]


@pytest.mark.parametrize("event_type", ["incident.acknowledged", "incident.resolved"])
async def test_what_was_sent_from_here_does_not_act_again(inbox, event_type):
    """It comes back with our integration's name, and maybe too late."""
    agent = {"type": "inbound_integration_reference", "summary": "Events API V2"}
    assert (await inbox.tell(event_type, agent=agent)).status_code == 200
    assert inbox.desk.deeds == []


async def test_what_was_done_before_is_no_failure(inbox):
    """PagerDuty delivers at least once, and gives up on who refuses."""
    for event_type in ("incident.acknowledged", "incident.resolved"):
        assert (await inbox.tell(event_type)).status_code == 200
        assert (await inbox.tell(event_type)).status_code == 200
    assert (await inbox.tell("incident.unacknowledged")).status_code == 200
    assert inbox.desk.incidents[INCIDENT].is_resolved


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "of-somebody-else", "title": "it is down"},
        {"key": None, "title": None},
        {"key": None, "title": "it is down [holdfast 000000]"},
        {"key": f"holdfast:{INCIDENT.replace('0', '1')}"},
        {"key": "holdfast:x' OR '1'='1"},
    ],
)
async def test_an_incident_of_somebody_else_is_left_alone(inbox, changes):
    """A service of PagerDuty's has more than our alerts."""
    response = await inbox.tell(**changes)
    assert response.status_code == 200
    assert {each.status for each in inbox.desk.incidents.values()} == {"triggered"}


@pytest.mark.parametrize(
    "event_type",
    ["pagey.ping", "incident.triggered", "incident.reopened", "incident.annotated", "of.tomorrow"],
)
async def test_what_has_no_counterpart_is_taken_and_left(inbox, event_type):
    """A test of the webhook succeeds too."""
    assert (await inbox.tell(event_type)).status_code == 200
    assert inbox.desk.deeds == []


async def test_a_test_of_the_webhook_holds_no_incident(inbox):
    """Its form is another one."""
    ping = {
        "event": {
            "event_type": "pagey.ping",
            "agent": {"id": "PVE0ZR9", "type": "user_reference"},
            "data": {"message": "Hello from your friend Pagey!", "type": "ping"},
        }
    }
    body = json.dumps(ping).encode()
    response = await inbox.send(body, {"X-PagerDuty-Signature": signature(body, SECRET)})
    assert response.status_code == 200


async def test_merging_there_ends_nothing_here(inbox):
    """PagerDuty resolves the one that goes into the other."""
    reason = {"type": "merge_resolve_reason", "incident": {"id": "Q1KD0TLXG4S1VO"}}
    assert (await inbox.tell("incident.resolved", resolve_reason=reason)).status_code == 200
    assert inbox.desk.deeds == []


async def test_one_good_signature_is_enough(inbox):
    """Several come while a secret is changed, here or there, and from each channel's service."""
    body = json.dumps(event()).encode()
    for secrets in ((NEXT_SECRET,), ("gone", SECRET), (OTHERS_SECRET,)):
        headers = {"X-PagerDuty-Signature": signature(body, *secrets)}
        assert (await inbox.send(body, headers)).status_code == 200


async def test_what_pagerduty_did_not_sign_is_refused(inbox):
    """Before it is read, with a problem document."""
    body = json.dumps(event()).encode()
    good = signature(body, SECRET)
    for sent, headers in (
        (body, {}),
        (body, {"X-PagerDuty-Signature": ""}),
        (body, {"X-PagerDuty-Signature": signature(body, "gone")}),
        (body, {"X-PagerDuty-Signature": good.replace("v1=", "v0=")}),
        (body, {"X-PagerDuty-Signature": "v1=ü".encode()}),
        (body + b" ", {"X-PagerDuty-Signature": good}),
        (b"{not json", {"X-PagerDuty-Signature": good}),
    ):
        response = await inbox.send(sent, headers)
        assert response.status_code == 401
        assert response.headers["Content-Type"] == MEDIA_TYPE
        assert "webhook_secrets" in response.json()["detail"]
    assert inbox.desk.deeds == []


@pytest.mark.parametrize("body", [b"{not json", b"[]", b'{"event": {}}', b"{}"])
async def test_what_is_signed_and_unreadable_is_a_problem(inbox, body):
    """It is not what PagerDuty documents."""
    response = await inbox.send(body, {"X-PagerDuty-Signature": signature(body, SECRET)})
    assert response.status_code == 422


async def test_with_the_stores_away_pagerduty_comes_again(inbox):
    """It sends a webhook again that was answered 503."""
    inbox.desk.trouble = Unavailable("Temporal gave no answer in time")
    assert (await inbox.tell()).status_code == 503
    inbox.desk.trouble = None
    inbox.desk.record.away = True
    assert (await inbox.tell(key=None)).status_code == 503
    assert (await inbox.tell()).status_code == 200

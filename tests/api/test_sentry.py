"""Sentry's webhooks: errors and alerts are reported, what is resolved there is resolved here."""

import json
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from api.problems import handle_problems
from api.routes import sentry
from api.sentry_inbox import SentryInbox
from config.secrets import Secrets
from holdfast.domain.custody import Actor, Via
from holdfast.domain.policy import Policy
from holdfast.domain.severity import Severity
from tests.api.intake_desk import IntakeDesk
from tests.api.sentry_hooks import (
    EVENT,
    ISSUE,
    METRIC_ALERT,
    NEXT_SECRET,
    SECRET,
    hook,
    signature,
    signed,
)
from tests.api.stage import client_of, eventually

URL = "http://holdfast.test/sentry/webhooks"

POLICY = {
    "channels": {"mail": {"kind": "email", "host": "mail.example", "sender": "h@example.com"}},
    "people": {
        "ada": {
            "name": "Ada Lovelace",
            "contacts": [{"channel": "mail", "to": "ada@example.com"}],
        }
    },
    "intake": {
        "sentry": {
            "secrets": ["${ABSENT}", "${SECRET}", "${NEXT_SECRET}"],
            "services": {"front-end": "shop", "4711": "billing"},
        }
    },
}


class Inbox:
    """An API with Sentry's route alone, and what it tells."""

    def __init__(self, policy=POLICY):
        self.desk = IntakeDesk()
        self.app = FastAPI()
        handle_problems(self.app)
        self.app.include_router(sentry.router)
        policy = Policy.model_validate(policy)
        secrets = Secrets({"SECRET": SECRET, "NEXT_SECRET": NEXT_SECRET})
        self.app.state.services = self
        self.sentry = SentryInbox(
            policy=lambda: policy, secrets=secrets, reception=self.desk, desk=self.desk
        )

    async def tell(self, resource, action, data, **hook_fields):
        return await self.send(**signed(resource, hook(action, data, **hook_fields)))

    async def send(self, **request):
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.post(URL, **request)


@pytest.fixture
def inbox():
    return Inbox()


@pytest.mark.parametrize(
    ("resource", "action", "name"),
    [("event_alert", "triggered", "event"), ("error", "created", "error")],
)
async def test_an_event_is_a_report(inbox, resource, action, name):
    """Whether an alert rule sent it or every error is sent."""
    answer = await inbox.tell(resource, action, {name: EVENT, "triggered_rule": "Pages us"})
    [report] = inbox.desk.reports
    assert answer.status_code == 200
    assert (report.service, report.fingerprint) == ("shop", "sentry-1117540176")
    assert (report.error_type, report.message) == ("CardError", "the card was declined")
    assert report.stack == ("web.handle (web.py:7)", "? (pay.py:?)")
    assert (report.severity, report.user) == (Severity.CRITICAL, "42")
    assert report.labels == {"level": "fatal", "region": "eu-west"}
    assert report.trace_id == "771a43a4192642f0b136d5159a501700"
    assert report.occurred_at == datetime(2026, 3, 1, 8, 14, 58, 120000, tzinfo=UTC)
    assert report.context["culprit"] == "checkout.pay in charge"


async def test_a_report_says_which_rule_sent_it(inbox):
    await inbox.tell("event_alert", "triggered", {"event": EVENT, "triggered_rule": "Pages us"})
    assert inbox.desk.reports[0].context["rule"] == "Pages us"


async def test_one_event_counts_once_whatever_tells_of_it(inbox):
    """An alert rule and the stream of all errors may; and what failed is sent again."""
    await inbox.tell("event_alert", "triggered", {"event": EVENT})
    await inbox.tell("error", "created", {"error": EVENT})
    await inbox.tell("error", "created", {"error": EVENT | {"event_id": "another"}})
    first, second, other = inbox.desk.receipts
    assert first == second != other


async def test_nothing_of_the_request_is_taken_over(inbox):
    """It may hold cookies and tokens, and Holdfast has no need of it."""
    await inbox.tell("error", "created", {"error": EVENT})
    assert "session=1" not in inbox.desk.reports[0].model_dump_json()


async def test_a_mere_message_is_a_report_too(inbox):
    """It raised nothing, and Sentry gives it a title alone."""
    bare = {key: EVENT[key] for key in ("event_id", "issue_id", "url")}
    await inbox.tell("error", "created", {"error": bare | {"title": "disk is nearly full"}})
    [report] = inbox.desk.reports
    assert (report.error_type, report.message) == ("Event", "disk is nearly full")


async def test_an_event_is_its_projects_by_number_too(inbox):
    await inbox.tell("error", "created", {"error": EVENT | {"project": 4711}})
    assert inbox.desk.reports[0].service == "billing"


@pytest.mark.parametrize("action", ["created", "unresolved"])
async def test_an_issue_that_is_new_or_back_is_a_report(inbox, action):
    """Its level is "error", which leaves the severity to the classification."""
    await inbox.tell("issue", action, {"issue": ISSUE})
    [report] = inbox.desk.reports
    assert (report.service, report.fingerprint) == ("shop", "sentry-1117540176")
    assert (report.error_type, report.severity) == ("CardError", None)
    assert report.context["issue"] == "FRONT-END-9"
    assert report.context["last_seen"].startswith("2026-03-01T08:14:58")


async def test_an_issue_that_is_back_happens_now(inbox):
    """Its last event may be days old: by that, its incident would be over at once."""
    await inbox.tell("issue", "unresolved", {"issue": ISSUE})
    assert inbox.desk.reports[0].occurred_at is None


@pytest.mark.parametrize(
    ("actor", "by"),
    [
        ("Ada Lovelace", Actor(name="Ada Lovelace", person="ada", via=Via.SENTRY)),
        ("Somebody Else", Actor(name="Somebody Else", via=Via.SENTRY)),
        (None, Actor(name="Sentry", via=Via.SENTRY)),
    ],
)
async def test_a_resolved_issue_ends_its_incident_in_the_name_of_who_did_it(inbox, actor, by):
    await inbox.tell("issue", "created", {"issue": ISSUE})
    answer = await inbox.tell("issue", "resolved", {"issue": ISSUE}, actor=actor)
    assert answer.status_code == 200
    assert inbox.desk.ended == [("shop", "sentry-1117540176", by)]


@pytest.mark.parametrize(
    ("action", "severity"), [("critical", Severity.CRITICAL), ("warning", Severity.MEDIUM)]
)
async def test_a_metric_alert_is_a_report_until_it_is_resolved(inbox, action, severity):
    await inbox.tell("metric_alert", action, METRIC_ALERT)
    await inbox.tell("metric_alert", "resolved", METRIC_ALERT)
    [report] = inbox.desk.reports
    assert (report.service, report.severity) == ("shop", severity)
    assert report.message == "Critical: too many errors: 1000 events in the last 10 minutes"
    assert [each[:2] for each in inbox.desk.ended] == [("shop", "sentry-alert-7")]


@pytest.mark.parametrize(
    ("projects", "default", "service"),
    [
        (["front-end", "mobile"], None, "shop"),
        (["front-end", "mobile"], "everything", "everything"),
        (["mobile"], "everything", "mobile"),
        ([], "everything", "everything"),
    ],
)
async def test_an_alert_over_several_services_is_the_defaults(projects, default, service):
    own = POLICY["intake"]["sentry"] | {"default_service": default}
    inbox = Inbox(POLICY | {"intake": {"sentry": own}})
    rule = METRIC_ALERT["metric_alert"]["alert_rule"] | {"projects": projects}
    alert = METRIC_ALERT | {"metric_alert": {"alert_rule": rule}}
    await inbox.tell("metric_alert", "critical", alert)
    assert inbox.desk.reports[0].service == service


@pytest.mark.parametrize(
    ("resource", "action"),
    [
        ("issue", "assigned"),
        ("issue", "archived"),
        ("comment", "created"),
        ("installation", "created"),
    ],
)
async def test_what_has_no_counterpart_here_is_answered_and_changes_nothing(
    inbox, resource, action
):
    answer = await inbox.tell(resource, action, {})
    assert answer.status_code == 200
    assert not inbox.desk.reports
    assert not inbox.desk.ended


@pytest.mark.parametrize(
    ("resource", "content", "field"),
    [
        ("error", [], ""),
        ("error", {"data": {}}, "action"),
        ("error", hook("created", {}), "data.error"),
        ("error", hook("created", {"error": {"event_id": "a"}}), "data.error.issue_id"),
        ("error", hook("created", {"error": EVENT | {"url": ""}}), "data.error.project"),
        ("issue", hook("resolved", {"issue": {"id": "1"}}), "data.issue.project"),
        ("metric_alert", hook("critical", {}), "data.metric_alert"),
        (
            "metric_alert",
            hook("critical", {"metric_alert": {"alert_rule": {"id": "7"}}}),
            "data.metric_alert.alert_rule.projects",
        ),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_field(inbox, resource, content, field):
    answer = await inbox.send(**signed(resource, content))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_what_is_not_json_is_refused(inbox):
    headers = {"Sentry-Hook-Signature": signature(b"{", SECRET)}
    answer = await inbox.send(content=b"{", headers=headers)
    assert (answer.status_code, "not JSON" in answer.json()["detail"]) == (422, True)


async def test_any_of_the_secrets_may_have_signed_it(inbox):
    """While one is changed, both are good; one that can't be read keeps no other from it."""
    request = signed("issue", hook("created", {"issue": ISSUE}), secret=NEXT_SECRET)
    assert (await inbox.send(**request)).status_code == 200


@pytest.mark.parametrize("given", [None, "", "0" * 64, signature(b"other", SECRET), "ü"])
async def test_what_sentry_did_not_sign_is_refused(inbox, given):
    headers = {"Sentry-Hook-Resource": "issue"}
    if given is not None:
        headers["Sentry-Hook-Signature"] = given.encode()
    body = json.dumps(hook("created", {"issue": ISSUE})).encode()
    answer = await inbox.send(content=body, headers=headers)
    assert answer.status_code == 401
    assert not inbox.desk.reports


async def test_without_a_secret_everything_is_refused():
    """An empty one would be anybody's."""
    inbox = Inbox({})
    answer = await inbox.send(**signed("issue", hook("created", {"issue": ISSUE}), secret=""))
    assert answer.status_code == 401
    assert "intake.sentry.secrets" in answer.json()["detail"]


@pytest.mark.parametrize("action", ["created", "resolved"])
async def test_while_nothing_can_be_kept_sentry_is_to_send_it_again(inbox, action):
    inbox.desk.away = True
    answer = await inbox.tell("issue", action, {"issue": ISSUE})
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


async def test_an_error_opens_an_incident_and_its_end_ends_it(
    client, stage, app, policy_file, monkeypatch
):
    """With the real system behind it."""
    monkeypatch.setenv("SENTRY_CLIENT_SECRET", SECRET)
    with policy_file.open("a") as file:
        own = {"secrets": ["${SENTRY_CLIENT_SECRET}"], "services": {"front-end": "plain"}}
        file.write(json.dumps({"intake": {"sentry": own}})[1:-1])
    assert (await client.post("/config/reload")).status_code == 200

    async def found():
        listed = (await client.get("/errors/active", params={"service": "plain"})).json()["items"]
        return [each for each in listed if each["fingerprint"] == "sentry-1117540176"]

    async with client_of(app, None) as at_sentry:
        now = datetime.now(UTC).isoformat()
        event = signed("error", hook("created", {"error": EVENT | {"datetime": now}}))
        assert (await at_sentry.post(URL, **event)).status_code == 200
        [incident] = await eventually(found)
        over = signed("issue", hook("resolved", {"issue": ISSUE}, actor="Ada"))
        assert (await at_sentry.post(URL, **over)).status_code == 200

    async def resolved():
        shown = (await client.get(f"/errors/{incident['id']}")).json()
        return shown if shown["status"] == "resolved" else None

    assert (await eventually(resolved))["resolved_by"].startswith("Ada")

"""Alertmanager's webhooks: what fires is reported, what is resolved ends its incident."""

import json
from datetime import UTC, datetime

import pytest

from api.alertmanager_inbox import AlertmanagerInbox
from api.body_limit import KIB
from holdfast.domain.custody import Actor
from holdfast.domain.policy import Policy
from holdfast.domain.role import Role
from holdfast.domain.severity import Severity
from holdfast.errors import InvalidInput, Unavailable
from tests.api.intake_desk import IntakeDesk
from tests.api.stage import client_of, eventually, issue

NEVER = "0001-01-01T00:00:00Z"
BY = Actor(name="alertmanager")
KEY = "alertmanager-1a30ba71cca2921f"


def alert(status="firing", *, labels=None, **fields):
    """An alert as Alertmanager sends it."""
    labels = labels or {}
    return {
        "status": status,
        "labels": {"alertname": "ProbeFailure", "job": "shop", "severity": "critical"} | labels,
        "annotations": {
            "summary": "the probe of https://shop.example.com fails",
            "description": "It has been down for over 5 minutes.",
        },
        "startsAt": "2026-03-01T13:08:45.828Z",
        "endsAt": NEVER if status == "firing" else "2026-03-01T13:20:00Z",
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=probe_success+%3D%3D+0",
        "fingerprint": "1a30ba71cca2921f",
    } | fields


def message(*alerts):
    """A webhook as Alertmanager sends it."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="ProbeFailure"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "holdfast",
        "groupLabels": {"alertname": "ProbeFailure"},
        "commonLabels": {"alertname": "ProbeFailure"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com",
        "alerts": list(alerts),
    }


class Inbox:
    """An inbox and what it tells."""

    def __init__(self, **source):
        self.desk = IntakeDesk()
        policy = Policy.model_validate({"intake": {"alertmanager": source}})
        self._inbox = AlertmanagerInbox(policy=lambda: policy, reception=self.desk, desk=self.desk)

    async def take(self, *alerts):
        return await self.send(json.dumps(message(*alerts)))

    async def send(self, body):
        return await self._inbox.take(body.encode(), by=BY)


@pytest.fixture
def inbox():
    return Inbox()


async def test_a_firing_alert_is_a_report(inbox):
    [result] = await inbox.take(alert())
    [report] = inbox.desk.reports
    assert (result.outcome, result.fingerprint) == ("reported", KEY)
    assert (report.service, report.error_type) == ("shop", "ProbeFailure")
    assert report.message == "the probe of https://shop.example.com fails"
    assert (report.severity, report.fingerprint) == (Severity.CRITICAL, KEY)
    assert report.labels["alertname"] == "ProbeFailure"
    assert report.context["starts_at"] == "2026-03-01T13:08:45.828000+00:00"
    assert report.context["annotations"]["description"].startswith("It has been down")


async def test_an_alert_that_is_told_again_happens_again_now(inbox):
    """Its start is long past: by that, its incident would be over while it still fires."""
    await inbox.take(alert())
    [report] = inbox.desk.reports
    assert report.occurred_at is None
    assert report.first_occurred_at == datetime(2026, 3, 1, 13, 8, 45, 828000, tzinfo=UTC)


async def test_a_resolved_alert_ends_its_incident_in_the_name_of_the_key(inbox):
    await inbox.take(alert())
    [result] = await inbox.take(alert("resolved"))
    assert (result.outcome, result.incident_id) == ("resolved", KEY)
    assert inbox.desk.ended == [("shop", KEY, BY)]


async def test_a_resolved_alert_without_an_open_incident_is_no_error(inbox):
    [result] = await inbox.take(alert("resolved"))
    assert result.outcome == "nothing_open"


async def test_the_fingerprint_is_the_labels_where_alertmanager_sends_none(inbox):
    """The same labels in another order are the same error; a label more is another."""
    plain = {key: each for key, each in alert().items() if key != "fingerprint"}
    turned = plain | {"labels": dict(reversed(plain["labels"].items()))}
    other = plain | {"labels": plain["labels"] | {"instance": "a"}}
    first, second, third = await inbox.take(plain, turned, other)
    assert first.fingerprint == second.fingerprint != third.fingerprint


async def test_one_bad_alert_does_not_lose_the_others(inbox):
    """Each is answered for itself, and the bad one's field is named."""
    nobodys = alert(labels={"job": ""})
    results = await inbox.take(alert(), {"status": "pending", "labels": {}}, nobodys)
    assert [each.outcome for each in results] == ["reported", "refused", "refused"]
    assert [each.field for each in results[1].errors] == ["status", "labels"]
    assert results[2].errors[0].field == "labels"
    assert "no label service or job" in results[2].errors[0].message
    assert len(inbox.desk.reports) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("[]", ""),
        ('{"version": "4"}', "alerts"),
        (json.dumps(message()), "alerts"),
        (json.dumps(message({"status": "firing"})), "alerts.0.labels"),
        (json.dumps(message("text")), "alerts.0"),
        (json.dumps(message(alert(labels={"job": "default/shop"}))), "alerts.0.labels.job"),
        (json.dumps(message(alert(labels={"a": "\x00"}))), "alerts.0.labels.a"),
        (json.dumps(message(alert(startsAt="yesterday"))), "alerts.0.startsAt"),
    ],
)
async def test_what_cannot_be_taken_at_all_is_refused_with_the_field(inbox, body, field):
    with pytest.raises(InvalidInput) as refused:
        await inbox.send(body)
    assert refused.value.errors[0].field == field
    assert refused.value.status == 422


async def test_what_is_not_json_is_refused(inbox):
    with pytest.raises(InvalidInput, match="this is not JSON"):
        await inbox.send("{")


@pytest.mark.parametrize("status", ["firing", "resolved"])
async def test_while_nothing_can_be_kept_alertmanager_is_to_send_it_again(inbox, status):
    """It does so after a 503, and after no other refusal."""
    inbox.desk.away = True
    with pytest.raises(Unavailable):
        await inbox.take(alert(status))


async def test_the_policy_file_says_whose_an_alert_is_and_how_bad():
    inbox = Inbox(
        service_labels=["team_service"],
        services={"checkout-api": "shop"},
        default_service="infrastructure",
        severity_label="priority",
        severities={"P2": "high"},
    )
    labels = {"team_service": "checkout-api", "priority": "P2"}
    await inbox.take(alert(labels=labels), alert(fingerprint="other"))
    shop, rest = inbox.desk.reports
    assert (shop.service, shop.severity) == ("shop", Severity.HIGH)
    assert (rest.service, rest.severity) == ("infrastructure", None)


async def test_what_is_too_long_is_shortened_rather_than_lost(inbox):
    labels = {f"label_{number:02}": "x" * 300 for number in range(60)}
    long = {f"annotation_{number:02}": "x" * 900 for number in range(70)}
    await inbox.take(alert(labels=labels | {"alertname": "A" * 300}, annotations=long))
    [report] = inbox.desk.reports
    assert (len(report.labels), len(report.error_type)) == (50, 200)
    assert len(report.model_dump_json()) <= 64 * KIB


async def test_a_report_that_is_too_large_loses_what_is_least_needed(inbox):
    """A message that is too large would stop its incident's workflow for good."""
    labels = {f"label_{number:02}": "ä" * 1000 for number in range(50)}
    long = {f"annotation_{number:02}": "x" * 4000 for number in range(50)}
    await inbox.take(alert(annotations=long), alert(labels=labels))
    first, second = inbox.desk.reports
    assert first.labels
    assert first.context["left_out"].startswith("with its context")
    assert not second.labels
    assert second.service == "shop"


async def test_grafanas_alerts_are_taken_too(inbox):
    """It sends the same form with more in it."""
    grafanas = {"valueString": "[ value=12 ]", "values": {"B": 44.2}, "silenceURL": "http://g"}
    body = message(alert() | grafanas) | {"version": "1", "orgId": 1, "title": "[FIRING:1]"}
    [result] = await inbox.send(json.dumps(body))
    assert result.outcome == "reported"


async def test_an_alert_opens_an_incident_and_its_end_ends_it(app, services, stage, client):
    """With the real system behind it, and a key that may only report."""
    secret = await issue(services, Role.REPORTER, "prometheus")
    async with client_of(app, secret) as alertmanager:

        async def post(status):
            body = message(alert(status, labels={"service": "plain"}))
            answer = await alertmanager.post(
                "http://holdfast.test/alertmanager/webhooks", json=body
            )
            assert answer.status_code == 200
            return answer.json()["results"][0]

        unknown = await post("resolved")
        opened = await post("firing")
        again = await post("firing")
        assert again["incident_id"] == opened["incident_id"]
        ended = await post("resolved")
        over = await post("resolved")
    assert unknown["outcome"] == over["outcome"] == "nothing_open"
    assert ended == {
        "outcome": "resolved",
        "fingerprint": KEY,
        "incident_id": opened["incident_id"],
    }

    async def resolved():
        found = (await client.get(f"/errors/{opened['incident_id']}")).json()
        return found if found["status"] == "resolved" else None

    incident = await eventually(resolved)
    assert (incident["resolved_by"], incident["report_count"]) == ("prometheus", 2)


async def test_without_a_key_nothing_is_taken(app):
    async with client_of(app, None) as stranger:
        answer = await stranger.post("http://holdfast.test/alertmanager/webhooks", json=message())
    assert answer.status_code == 401

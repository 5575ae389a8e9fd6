import json
from datetime import timedelta

import pytest
import pytest_asyncio

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.pagerduty import PagerDutySender, dedup_key, incident_of
from config.secrets import Secrets
from holdfast.domain.channel import PagerDutyChannel
from holdfast.domain.notification import FailureKind, NotificationKind
from holdfast.domain.severity import Severity
from holdfast.domain.throttle import BundledIncident
from holdfast.errors import ConfigurationError
from tests.activities.stand_in import answers, drops

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
INCIDENT = "01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"
KEY = f"holdfast:{INCIDENT}"
ENQUEUE = "POST /v2/enqueue"
LINKS = Links(
    incident_url=f"https://holdfast.example/api/system/errors/{INCIDENT}",
    temporal_url="https://temporal.example/namespaces/default/workflows/incident%3Achannels",
    act_url="https://holdfast.example/act/of-whoever-was-told",
)
ACCEPTED = answers(
    202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": KEY})
)


@pytest.fixture
def keys():
    return {"PAGERDUTY_KEY": ROUTING_KEY}


@pytest_asyncio.fixture
async def make_sender(service, keys):
    senders = []

    def make(**changes):
        given = {"kind": "pagerduty", "routing_key": "${PAGERDUTY_KEY}", "base_url": service.url}
        channel = PagerDutyChannel.model_validate(given | changes)
        senders.append(PagerDutySender(channel, Secrets(keys)))
        return senders[-1]

    yield make
    for sender in senders:
        await sender.close()


@pytest.fixture
def send(make_sender, make_notification):
    async def send(
        kind=NotificationKind.PAGE, *, links=LINKS, bundled=(), changes=None, **headline
    ):
        sender = make_sender(**(changes or {}))
        notification = make_notification(kind, incident_id=INCIDENT, **headline)
        return await sender.send(notification.model_copy(update={"bundled": bundled}), links)

    return send


async def test_a_page_triggers_an_alert_that_tells_all_there_is(service, send):
    """Who is woken by PagerDuty must not have to look anything up; the dedup key is the receipt."""
    service.expect(ENQUEUE, ACCEPTED)
    receipt = await send(unreached=("Ada was not reached: no answer",))
    assert receipt.reference == KEY
    assert service.request.headers["Content-Type"] == "application/json"
    event = service.request.json
    details = event["payload"].pop("custom_details")
    assert event == {
        "routing_key": ROUTING_KEY,
        "event_action": "trigger",
        "dedup_key": KEY,
        "payload": {
            "summary": "channels: StreamLost: no data for 10 s [holdfast 3f2d11]",
            "timestamp": "2026-03-01T03:14:15+00:00",
            "source": "channels",
            "component": "channels",
            "severity": "critical",
            "class": "stream_failure",
        },
        "links": [
            {"href": LINKS.incident_url, "text": "Incident"},
            {"href": LINKS.temporal_url, "text": "Temporal"},
        ],
        "client": "Holdfast",
        "client_url": LINKS.incident_url,
    }
    assert details["incident"] == INCIDENT
    assert details["reports"] == 42
    assert details["what was tried"] == ["restart: failed, answered 500"]
    assert details["who was not reached"] == ["Ada was not reached: no answer"]
    assert "who has it" not in details


async def test_without_addresses_there_are_no_links(service, send):
    """An empty link would be refused."""
    service.expect(ENQUEUE, ACCEPTED)
    await send(links=Links())
    assert service.request.json["links"] == []
    assert "client_url" not in service.request.json


@pytest.mark.parametrize(
    ("severity", "theirs"),
    [("low", "info"), ("medium", "warning"), ("high", "error"), ("critical", "critical")],
)
async def test_severities_are_pagerdutys_own(service, send, severity, theirs):
    """PagerDuty refuses words that it does not know."""
    service.expect(ENQUEUE, ACCEPTED)
    await send(severity=severity)
    assert service.request.json["payload"]["severity"] == theirs


async def test_the_longest_title_keeps_the_mark(service, send):
    """1024 characters are all there may be; the way back to the incident is at their end."""
    service.expect(ENQUEUE, ACCEPTED)
    await send(title="t" * 3000)
    summary = service.request.json["payload"]["summary"]
    assert len(summary) == 1024
    assert summary.endswith("… [holdfast 3f2d11]")


async def test_a_page_says_for_what_else_it_speaks(service, send):
    """The others are not in another message."""
    service.expect(ENQUEUE, ACCEPTED)
    other = BundledIncident(
        incident_id="01960c2e-7d3b-7c51-9a55-0b8f6f4c1d2e",
        service="encoder",
        severity=Severity.HIGH,
        title="it is down",
    )
    await send(bundled=(other,))
    payload = service.request.json["payload"]
    assert "(and 1 more)" in payload["summary"]
    assert payload["custom_details"]["also"] == ["4c1d2e high encoder: it is down"]


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (NotificationKind.REMINDER, "trigger"),
        (NotificationKind.UNACKNOWLEDGED, "trigger"),
        (NotificationKind.ACKNOWLEDGED, "acknowledge"),
        (NotificationKind.RESOLVED, "resolve"),
    ],
)
async def test_news_go_to_the_same_alert(service, send, kind, action):
    """One incident is one alert from its first page to its end."""
    service.expect(ENQUEUE, ACCEPTED)
    receipt = await send(kind)
    assert receipt.reference == KEY
    event = service.request.json
    assert (event["event_action"], event["dedup_key"]) == (action, KEY)
    assert ("payload" in event) == (action == "trigger")


async def test_an_update_is_not_sent(send):
    """An alert can't be brought up to date, and a second one alarms people."""
    with pytest.raises(DeliveryRejected, match="up to date"):
        await send(NotificationKind.UPDATE)


async def test_an_event_that_pagerduty_refuses_is_rejected(service, send):
    """With PagerDuty's own message and each of its errors."""
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": ["too big"]}
    service.expect(ENQUEUE, answers(400, json.dumps(said)))
    with pytest.raises(DeliveryRejected, match="400: Event object is invalid: too big") as caught:
        await send()
    assert caught.value.kind is FailureKind.REJECTED


@pytest.mark.parametrize("status", [401, 403, 302])
async def test_a_routing_key_or_address_at_fault_is_configuration(service, send, status):
    """Somebody has to put it right."""
    service.expect(ENQUEUE, answers(status, "nobody by that name"))
    with pytest.raises(DeliveryRejected, match=f"{status}: nobody by that name") as caught:
        await send()
    assert caught.value.kind is FailureKind.CONFIGURATION


async def test_the_rate_limit_is_obeyed(service, send):
    """PagerDuty says when to come again; the library would wait and try without end."""
    service.expect(ENQUEUE, answers(429, "slow down", {"Retry-After": "30"}))
    with pytest.raises(DeliveryDeferred, match="429") as caught:
        await send()
    assert caught.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize(
    "problem",
    [
        answers(500),
        answers(502, "<html>bad gateway</html>"),
        answers(503, '["away"]'),
        answers(202, "{not json"),
        answers(202, "{}"),
        drops,
    ],
)
async def test_pagerdutys_own_trouble_is_deferred(service, send, problem):
    """It passes; one request was made and no more."""
    service.expect(ENQUEUE, problem)
    with pytest.raises(DeliveryDeferred, match="PagerDuty"):
        await send()


async def test_a_pagerduty_that_hangs_is_deferred(service, send):
    """The channel's timeout counts for the whole of it."""
    service.expect(ENQUEUE, service.hangs)
    with pytest.raises(DeliveryDeferred, match=r"no answer within 0\.5 s"):
        await send(changes={"timeout": "500ms"})


async def test_a_pagerduty_that_is_away_is_deferred(send, closed_url):
    """The network comes back."""
    with pytest.raises(DeliveryDeferred, match="Connection refused"):
        await send(changes={"base_url": closed_url})


async def test_an_address_that_is_none_is_named(send):
    """It will not go better another time."""
    with pytest.raises(ConfigurationError, match="base_url"):
        await send(changes={"base_url": "https://events.example:port"})


async def test_a_missing_routing_key_is_named(send):
    """Nothing is sent without one."""
    with pytest.raises(ConfigurationError, match="ABSENT"):
        await send(changes={"routing_key": "${ABSENT}"})


async def test_a_new_routing_key_needs_no_restart(service, make_sender, make_notification, keys):
    """It is asked for with each event."""
    service.expect(ENQUEUE, ACCEPTED, ACCEPTED)
    sender = make_sender()
    await sender.send(make_notification(), LINKS)
    keys["PAGERDUTY_KEY"] = "f" * 32
    await sender.send(make_notification(), LINKS)
    assert [each.json["routing_key"] for each in service.requests] == [ROUTING_KEY, "f" * 32]


async def test_the_check_asks_for_a_key_of_the_right_length(make_sender, keys):
    """PagerDuty can't be asked without alarming people, so nothing is sent."""
    await make_sender().check()
    keys["PAGERDUTY_KEY"] = "a user's token"
    with pytest.raises(DeliveryRejected, match="14 characters") as caught:
        await make_sender().check()
    assert caught.value.kind is FailureKind.CONFIGURATION
    assert "a user's token" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "title", "expected"),
    [
        (dedup_key(INCIDENT), "renamed by somebody", INCIDENT),
        (None, "channels: it is down [holdfast 3f2d11]", "3f2d11"),
        ("", "channels: it is down [holdfast 3f2d11] ", "3f2d11"),
        (None, "it is down", None),
        ("of-pagerdutys-own", "it is down [holdfast 3f2d11]", "3f2d11"),
        ("somebody-elses", "it is down [holdfast 3f2d11], as Ada says", None),
    ],
)
def test_an_incident_is_recognised_by_its_key_or_its_mark(key, title, expected):
    """Where a service creates alerts and incidents, PagerDuty tells no key of the incident."""
    assert incident_of(key, title) == expected

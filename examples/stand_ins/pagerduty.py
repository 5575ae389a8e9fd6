"""Owns a stand-in for PagerDuty: it takes Events v2, and tells of changes by v3 webhooks.

What it asks of events is from developer.pagerduty.com/docs/send-alert-event.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final
from uuid import uuid4

import httpx
from aiohttp import web

from examples.stand_ins.callbacks import Callbacks
from examples.stand_ins.server import StandIn

_DEDUP_KEY: Final = 255
_SUMMARY: Final = 1024
_SEVERITIES: Final = frozenset({"critical", "error", "warning", "info"})
Agent = dict[str, str]

# Who did what an event of its API did.
_INTEGRATION: Final[Agent] = {
    "id": "PINTEGRATION",
    "summary": "Holdfast",
    "type": "events_api_v2_inbound_integration_reference",
}
_BECOMES: Final = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}


@dataclass
class Alert:
    """An incident of PagerDuty's.

    Attributes:
        events: What was sent about it, in order.
    """

    id: str
    dedup_key: str
    status: str = "triggered"
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """Its title: the first event's summary."""
        return str(self.events[0]["payload"]["summary"])


class PagerDutyStandIn(StandIn):
    """One service of PagerDuty's, with its webhook subscription.

    Args:
        routing_key: Of its Events v2 integration.
        webhook_secret: Signs what it sends.
    """

    def __init__(self, routing_key: str, webhook_secret: str) -> None:
        super().__init__()
        self.alerts: dict[str, Alert] = {}
        self._routing_key = routing_key
        self._webhook_secret = webhook_secret
        self._holdfast: Callbacks | None = None
        self._numbers = count(1)
        self._telling: set[asyncio.Task[None]] = set()

    def subscribe(self, holdfast: Callbacks) -> None:
        """Tell Holdfast of every change from now on, as a webhook subscription does."""
        self._holdfast = holdfast

    async def stop(self) -> None:
        """Tell what is still to be told, then stop listening."""
        await asyncio.gather(*self._telling)
        await super().stop()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take an event."""
        if (request.method, request.path) != ("POST", "/v2/enqueue"):
            self.refusals.append(f"nothing is at {request.method} {request.path}")
            return web.json_response({"status": "not found"}, status=404)
        event = await request.json()
        if problems := list(self._problems(event)):
            self.refusals.append(", ".join(problems))
            body = {"status": "invalid event", "message": "Event object is invalid"}
            return web.json_response(body | {"errors": problems}, status=400)
        key = self._take(event)
        taken = {"status": "success", "message": "Event processed", "dedup_key": key}
        return web.json_response(taken, status=202)

    def _problems(self, event: dict[str, Any]) -> Iterator[str]:
        if event.get("routing_key") != self._routing_key:
            yield "Invalid routing key"
        if event.get("event_action") not in _BECOMES:
            yield f"'event_action' is invalid: {event.get('event_action')}"
        key = event.get("dedup_key")
        if event.get("event_action") != "trigger" and not key:
            yield "'dedup_key' is missing or blank"
        if key and len(key) > _DEDUP_KEY:
            yield f"'dedup_key' is longer than {_DEDUP_KEY} characters"
        if event.get("event_action") == "trigger":
            yield from _payload_problems(event.get("payload") or {})
        for link in event.get("links", []):
            if not link.get("href"):
                yield "'links' is invalid (missing href)"

    def _take(self, event: dict[str, Any]) -> str:
        key = str(event.get("dedup_key") or uuid4())
        alert = self.alerts.get(key)
        if alert is None or alert.status == "resolved":
            if event["event_action"] != "trigger":
                return key  # PagerDuty drops what is about no open alert
            alert = self.alerts[key] = Alert(f"PT{next(self._numbers):05d}", key)
            before = None
        else:
            before = alert.status
        alert.events.append(event)
        if event["event_action"] != "trigger" or before is None:
            self._become(alert, _BECOMES[event["event_action"]], agent=_INTEGRATION, before=before)
        return key

    def acknowledge(self, dedup_key: str, *, by: str) -> None:
        """Somebody acknowledges in PagerDuty's own app."""
        self._act(dedup_key, "acknowledged", by=by)

    def resolve(self, dedup_key: str, *, by: str) -> None:
        """Somebody resolves in PagerDuty's own app."""
        self._act(dedup_key, "resolved", by=by)

    def _act(self, dedup_key: str, status: str, *, by: str) -> None:
        agent = {"id": f"P{by.upper()}", "summary": by, "type": "user_reference"}
        alert = self.alerts[dedup_key]
        self._become(alert, status, agent=agent, before=alert.status)

    def _become(self, alert: Alert, status: str, *, agent: Agent, before: str | None) -> None:
        alert.status = status
        if status != before and self._holdfast:
            task = asyncio.create_task(self._tell(self._holdfast, _webhook(alert, agent)))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, holdfast: Callbacks, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        digest = hmac.new(self._webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-PagerDuty-Signature": f"v1={digest}",
            "X-Webhook-Id": message["event"]["id"],
        }
        what = f"the webhook {message['event']['event_type']}"
        address = holdfast.address("/pagerduty/webhooks")
        try:
            answer = await holdfast.post(address, body, headers=headers)
        except httpx.HTTPError as error:
            self.refusals.append(f"{what}: {error!r}")
            return
        if not answer.is_success:
            self.refusals.append(f"{what}: answered {answer.status_code}: {answer.text}")


def _payload_problems(payload: dict[str, Any]) -> Iterator[str]:
    for name in ("summary", "source", "severity"):
        if not payload.get(name):
            yield f"'payload.{name}' is missing or blank"
    if len(payload.get("summary", "")) > _SUMMARY:
        yield f"'payload.summary' is longer than {_SUMMARY} characters"
    if payload.get("severity") not in _SEVERITIES:
        yield f"'payload.severity' is invalid: {payload.get('severity')}"


def _webhook(alert: Alert, agent: Agent) -> dict[str, Any]:
    """A v3 webhook of a change (developer.pagerduty.com/docs/webhooks-overview)."""
    now = datetime.now(UTC).isoformat()
    service = {"id": "PSERVICE", "summary": "Holdfast", "type": "service_reference"}
    return {
        "event": {
            "id": str(uuid4()),
            "event_type": f"incident.{alert.status}",
            "resource_type": "incident",
            "occurred_at": now,
            "agent": agent,
            "client": None if agent["type"] == "user_reference" else {"name": "Holdfast"},
            "data": {
                "id": alert.id,
                "type": "incident",
                "self": f"https://api.pagerduty.com/incidents/{alert.id}",
                "html_url": f"https://stand-in.pagerduty.com/incidents/{alert.id}",
                "number": int(alert.id[2:]),
                "status": alert.status,
                # The alert has the key: the service creates alerts and incidents, as by default.
                "incident_key": None,
                "created_at": now,
                "title": alert.summary,
                "service": service,
                "assignees": [],
                "urgency": "high",
            },
        }
    }

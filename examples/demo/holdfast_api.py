"""Owns what the demo asks of Holdfast's API: each question as anybody could put it."""

from datetime import datetime, timedelta
from typing import Any

import httpx

from examples.demo.claims import ClaimFailed
from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.guidance import BreakerGuidance
from holdfast.domain.incident import Incident
from holdfast.domain.role import Role

TIMEOUT = timedelta(seconds=60)
ACTION_WITHIN = "40s"


class HoldfastApi:
    """The API, asked with one key.

    Args:
        url: Its root.
        key: Whose role allows what is asked.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        headers = {"Authorization": f"Bearer {key}"}
        timeout = TIMEOUT.total_seconds()
        self._http = httpx.AsyncClient(
            base_url=f"{url}/api/system", headers=headers, timeout=timeout, trust_env=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def make_key(self, name: str, role: Role) -> str:
        """Make a key for a service or a person; its secret."""
        made = await self._ask("POST", "/keys", json={"name": name, "roles": [role.value]})
        return str(made["secret"])

    async def incident(self, incident_id: str) -> Incident:
        """The incident as it is now."""
        return Incident.model_validate(await self._ask("GET", f"/errors/{incident_id}"))

    async def active(self) -> list[str]:
        """The titles of all open incidents."""
        listed = await self._ask("GET", "/errors/active")
        return [str(each["title"]) for each in listed["items"]]

    async def opened(self, workflow_id: str, *, since: datetime) -> str | None:
        """The id of the incident that a workflow opened since then, open or closed; if it did."""
        query = {"event": AuditEvent.INCIDENT_OPENED.value, "since": since.isoformat()}
        entries = await self._audit(query)
        found = (each.incident_id for each in entries if each.workflow_id == workflow_id)
        return next(found, None)

    async def audit(self, incident_id: str) -> list[AuditEntry]:
        """All facts of an incident, the oldest first."""
        return await self._audit({"incident_id": incident_id})

    async def audit_of_breaker(self, service: str, *, since: datetime) -> list[AuditEntry]:
        """All that a service's circuit breaker did since then, the oldest first."""
        event = AuditEvent.BREAKER_CHANGED.value
        return await self._audit({"service": service, "event": event, "since": since.isoformat()})

    async def acknowledge(self, incident_id: str) -> Incident:
        """Take an incident."""
        answer = await self._ask("POST", f"/errors/{incident_id}/acknowledge")
        return Incident.model_validate(answer)

    async def resolve(self, incident_id: str, *, note: str) -> Incident:
        """End an incident."""
        answer = await self._ask("POST", f"/errors/{incident_id}/resolve", json={"note": note})
        return Incident.model_validate(answer)

    async def recover(self, action: str, *, service: str, channel: str) -> str:
        """Ask for an action by hand and wait for its outcome; the status that it ended with."""
        body = {"context": {"channel": channel}, "wait": ACTION_WITHIN}
        ticket = await self._ask("POST", f"/recovery/{action}/{service}", json=body)
        outcome = ticket["outcome"] or {"status": "unknown"}
        return str(outcome["status"])

    async def breaker(self, service: str) -> BreakerGuidance:
        """A service's circuit breaker as it is now."""
        found = await self._ask("GET", f"/circuit-breakers/{service}")
        return BreakerGuidance.model_validate(found)

    async def features_off(self, service: str) -> list[str]:
        """What a service leaves out for now."""
        listed = await self._ask("GET", "/degraded-services")
        found = (each["features_off"] for each in listed["items"] if each["service"] == service)
        return list(next(found, []))

    async def _audit(self, query: dict[str, str]) -> list[AuditEntry]:
        listed = await self._ask(
            "GET", "/audit", params={**query, "order": "oldest", "limit": 1000}
        )
        return [AuditEntry.model_validate(each) for each in listed["items"]]

    async def _ask(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        response = await self._http.request(method, path, **given)
        if response.is_error:
            raise ClaimFailed(
                f"{method} {response.url} answered {response.status_code}: {response.text}"
            )
        answer: dict[str, Any] = response.json()
        return answer

"""One real system with all vendors around it, and what is seen of an incident in there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from examples.stand_ins.callbacks import Callbacks
from examples.stand_ins.slack import Message
from examples.stand_ins.slack_members import SlackMembers
from standalone.system import System
from tests.end_to_end.conftest import temporary_home
from tests.end_to_end.town import Caller, calling, until
from tests.end_to_end.vendors import PUBLIC_URL, Vendors, open_for_business


@dataclass(frozen=True)
class Office:
    """The system and everybody around it.

    Attributes:
        holdfast: The way that vendors take to the API.
    """

    caller: Caller
    vendors: Vendors
    holdfast: Callbacks

    @property
    def members(self) -> SlackMembers:
        return self.vendors.members(self.holdfast)

    def posted(self, incident: str, kind: str = "page") -> list[Message]:
        """What Slack has of an incident, as it is by now."""
        payloads = [(m, m.metadata.get("event_payload", {})) for m in self.vendors.slack.messages]
        return [
            message
            for message, payload in payloads
            if (payload.get("incident_id"), payload.get("kind")) == (incident, kind)
        ]

    async def page(self, incident: str) -> Message:
        """An incident's page in Slack."""
        await until(lambda: self.posted(incident))
        return self.posted(incident)[0]

    async def taken(self, incident: str, *, by: str) -> dict[str, Any]:
        """Wait until somebody has an incident."""

        async def is_taken() -> bool:
            return (await self.caller.incident(incident))["acknowledged_by"] == by

        await until(is_taken)
        return await self.caller.incident(incident)

    async def told(self, incident: str) -> list[dict[str, Any]]:
        """Who was told, and how that went."""
        explained = await self.caller.get(f"/escalations/{incident}")
        told: list[dict[str, Any]] = explained["told"]
        return told

    async def hold(self, incident: str) -> dict[str, Any]:
        """What keeps an incident's page back, as soon as something does."""
        found: dict[str, Any] = {}

        async def held() -> bool:
            found.update((await self.caller.get(f"/escalations/{incident}"))["hold"] or {})
            return bool(found)

        await until(held)
        return found


@asynccontextmanager
async def opened() -> AsyncIterator[Office]:
    """Everybody at work; in the end, nobody may have refused anything."""
    with temporary_home() as home:
        async with open_for_business() as vendors:
            environment = vendors.secrets | {
                "HOLDFAST_CONFIG": str(vendors.write_policy(home)),
                "HOLDFAST_PUBLIC_URL": PUBLIC_URL,
            }
            async with (
                System.on_free_ports(home, environment=environment, say=print) as system,
                calling(system) as caller,
            ):
                holdfast = Callbacks(system.api_url, PUBLIC_URL)
                vendors.pagerduty.subscribe(holdfast)
                yield Office(caller, vendors, holdfast)
                refused = vendors.refusals
    assert refused == []

"""Owns the stage: everything that the demo starts, and what the stories see of it."""

import base64
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from config.settings import Settings
from examples.channels.settings import Feed
from examples.demo.claims import eventually, happened, receivers, require, sent
from examples.demo.holdfast_api import HoldfastApi
from examples.demo.studio import SERVICE, Studio
from examples.demo.teller import Teller
from examples.stand_ins.callbacks import Callbacks
from examples.stand_ins.slack import Message, SlackStandIn
from examples.stand_ins.slack_members import SlackMembers
from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.incident import Incident
from holdfast.domain.incident_status import Resolution
from holdfast.domain.notification import NotificationKind
from holdfast.domain.report import incident_workflow_id
from holdfast.domain.role import Role
from standalone.ports import free_ports
from standalone.system import System

POLICY = Path(__file__).with_name("demo.yaml")
# Where the policy file has the services that the demo starts on other ports.
STUDIO_THERE, SLACK_THERE = "http://127.0.0.1:8100", "http://127.0.0.1:8200/api/"
CHANNELS = ("news", "sports", "films")
# Whom the policy's levels page, the first level's first: Ada is on call.
LEVELS = ("U0ADA", "#live-leads", "#everybody")
# One of the leads: the key in the policy file, and of the API.
PERSON = "grace"

SYSTEM_PORTS = 3
STUDIO_PORTS = 1 + len(Feed) * len(CHANNELS)
OPENED_WITHIN = timedelta(seconds=15)
# Some seconds in fact; a busy machine may take its time.
RECORDED_WITHIN = timedelta(seconds=40)
PAGED_WITHIN = timedelta(seconds=40)
# Some seconds in fact: changes of a message are gathered for two.
SHOWN_WITHIN = timedelta(seconds=20)


@dataclass(frozen=True)
class Stage:
    """What is running.

    Attributes:
        members: The people of the Slack workspace.
        holdfast: The API with the admin's key.
        person: The API with the key of a person who is paged, an operator.
    """

    system: System
    slack: SlackStandIn
    members: SlackMembers
    studio: Studio
    holdfast: HoldfastApi
    person: HoldfastApi

    async def opened(self, fingerprint: str, *, since: datetime) -> Incident:
        """Wait for the incident that an error opens."""
        workflow = incident_workflow_id(SERVICE, fingerprint)
        incident_id = await eventually(
            f"Holdfast opens an incident of {fingerprint}",
            lambda: self.holdfast.opened(workflow, since=since),
            holds=bool,
            within=OPENED_WITHIN,
        )
        return await self.holdfast.incident(str(incident_id))

    async def recovered(self, incident_id: str, *, by: str) -> tuple[Incident, list[AuditEntry]]:
        """Wait until an incident is resolved by this recovery step, with nobody paged; its log."""
        entries = await self.log(incident_id, until=AuditEvent.INCIDENT_RESOLVED)
        incident = await self.holdfast.incident(incident_id)
        how = (incident.resolution, incident.attempts[-1].action if incident.attempts else None)
        require(f"{by} recovers it", holds=how == (Resolution.RECOVERED, by), seen=how)
        pages = self.received(incident_id, NotificationKind.PAGE)
        require("nobody is paged for it", holds=not pages, seen=pages)
        return incident, entries

    async def aftermath(self, channel: str, *, since: datetime) -> bool:
        """See the second incident of a lost ingest close by itself, if there is one.

        A restart that failed was refused, for the channel a new error. It reports that only if
        nothing else brings it on the air sooner.
        """
        workflow = incident_workflow_id(SERVICE, f"RtmpConnectionRefused:{channel}")
        found = await self.holdfast.opened(workflow, since=since)
        if found:
            await self.recovered(found, by="retry")
        return bool(found)

    async def log(self, incident_id: str, *, until: AuditEvent) -> list[AuditEntry]:
        """Wait until the audit log has a fact of an incident; all that it has by then."""
        return await eventually(
            f"the audit log of the incident comes to {until}",
            lambda: self.holdfast.audit(incident_id),
            holds=lambda entries: happened(entries, until),
            within=RECORDED_WITHIN,
            shown=lambda entries: ", ".join(entry.event for entry in entries),
        )

    async def paged(self, incident_id: str, *levels: int) -> None:
        """Wait until Slack has received the pages of these levels, each once, in this order."""

        async def look() -> list[str]:
            return self.received(incident_id, NotificationKind.PAGE)

        wanted = [LEVELS[level - 1] for level in levels]
        await eventually(
            f"Slack receives pages for {', '.join(wanted)}, each once and in this order",
            look,
            holds=lambda received: received[: len(wanted)] == wanted,
            within=PAGED_WITHIN,
        )

    def require_paged(self, incident_id: str, *levels: int) -> None:
        """Go on only if Slack has received the pages of these levels and no others."""
        wanted = [LEVELS[level - 1] for level in levels]
        pages = self.received(incident_id, NotificationKind.PAGE)
        require(f"Slack has pages for {', '.join(wanted)} alone", holds=pages == wanted, seen=pages)

    def page(self, incident_id: str, *, level: int) -> Message:
        """A level's page in Slack, as it is by now."""
        pages = sent(self.slack.messages, NotificationKind.PAGE, incident_id=incident_id)
        return next(each for each in pages if each.sent_to == LEVELS[level - 1])

    async def shown(self, incident_id: str, *, level: int, words: str) -> Message:
        """Wait until a level's page was edited and says something; the page."""

        async def look() -> Message:
            return self.page(incident_id, level=level)

        return await eventually(
            f"the message of level {level} says: {words}",
            look,
            holds=lambda page: page.edited and words in page.words,
            within=SHOWN_WITHIN,
            shown=lambda page: page.words,
        )

    def received(self, incident_id: str, kind: NotificationKind) -> list[str]:
        """To whom Slack delivered messages of a kind about an incident."""
        return receivers(self.slack.messages, kind, incident_id=incident_id)


@asynccontextmanager
async def set_up(home: Path, teller: Teller) -> AsyncIterator[Stage]:
    """Start everything on free ports; at the end everything is stopped.

    Args:
        home: An empty folder for data, logs and the policy file.
        teller: Shows what Slack receives.
    """
    async with AsyncExitStack() as stack:
        with teller.waiting("it takes some seconds"):
            stage = await _started(stack, home, teller)
        yield stage


async def _started(stack: AsyncExitStack, home: Path, teller: Teller) -> Stage:
    bot, signing = f"xoxb-{secrets.token_hex(16)}", _signing_secret()
    slack_signing = secrets.token_hex(16)
    ports = free_ports(SYSTEM_PORTS + STUDIO_PORTS)
    slack = SlackStandIn(bot, channels=LEVELS, on_message=teller.slack, on_whisper=teller.whisper)
    await stack.enter_async_context(slack)
    studio = Studio(CHANNELS, ports[SYSTEM_PORTS:], home=home, say=teller.overheard.append)
    system = System(
        _settings(home, ports, config=write_policy(home, studio=studio.url, slack=slack.base_url)),
        environment={
            "SLACK_BOT_TOKEN": bot,
            "SLACK_SIGNING_SECRET": slack_signing,
            "CHANNELS_ACTION_SECRET": signing,
        },
        say=teller.overheard.append,
    )
    await stack.enter_async_context(system)
    holdfast = HoldfastApi(system.api_url, system.admin_key)
    stack.push_async_callback(holdfast.close)
    person = HoldfastApi(system.api_url, await holdfast.make_key(PERSON, Role.OPERATOR))
    stack.push_async_callback(person.close)
    stack.push_async_callback(studio.stop)
    await studio.start(await _studio_settings(holdfast, system.api_url, signing))
    members = SlackMembers(slack, Callbacks(system.api_url, system.api_url), slack_signing)
    return Stage(system, slack, members, studio, holdfast, person)


def _settings(home: Path, ports: Sequence[int], *, config: Path) -> Settings:
    api, temporal, ui, *_ = ports
    return Settings(home=home, config=config, port=api, temporal_port=temporal, temporal_ui_port=ui)


async def _studio_settings(holdfast: HoldfastApi, url: str, signing: str) -> dict[str, str]:
    return {
        "CHANNELS_NO_FRAMES_AFTER": "5",
        "CHANNELS_REPORT_EVERY": "1",
        "CHANNELS_ACTION_SECRET": signing,
        "HOLDFAST_URL": url,
        "HOLDFAST_KEY": await holdfast.make_key(SERVICE, Role.REPORTER),
    }


def write_policy(home: Path, *, studio: str, slack: str) -> Path:
    """Write the demo's policy with the addresses that its services have this time."""
    text = POLICY.read_text(encoding="utf-8")
    for there, here in ((STUDIO_THERE, studio), (SLACK_THERE, slack)):
        text = text.replace(there, here)
    policy = home / POLICY.name
    policy.write_text(text, encoding="utf-8")
    return policy


def _signing_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()

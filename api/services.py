"""Owns the API's composition: its parts, made from the settings and put together."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.action_link import ActionLinks
from activities.roster import Roster
from api.alertmanager_inbox import AlertmanagerInbox
from api.breaker_desk import BreakerDesk
from api.dispatch import Dispatcher
from api.event_feed import EventFeed
from api.health import HealthProbe
from api.incident_desk import IncidentDesk
from api.key_ring import KeyRing
from api.outcome_book import OutcomeBook
from api.pagerduty_inbox import PagerDutyInbox
from api.people_front import PeopleFront
from api.probe_relay import ProbeRelay
from api.reception import Reception
from api.recovery_desk import RecoveryDesk
from api.sentry_inbox import SentryInbox
from api.silence_desk import SilenceDesk
from api.slack.front import SlackFront
from api.temporal import unconnected
from api.twilio_inbox import TwilioInbox
from config.policy import MissingSecret, PolicyHolder, load, missing_secrets
from config.secrets import Secrets
from config.settings import Settings
from config.temporal import connect, ensure_search_attributes
from config.version import running_version
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError
from storage.audit import Audit
from storage.database import create_engine
from storage.entities import Entities
from storage.incidents import Incidents
from storage.intake import Intake
from storage.keys import Keys
from storage.outcomes import OutcomeLedger
from storage.policy_reload import PolicyReload
from storage.presence import KEYS_CHANGED, POLICY_CHANGED, SILENCES_CHANGED, Presence
from storage.processes import Processes, ProcessKind
from storage.statistics import Statistics

log = structlog.get_logger(__name__)

# What a start waits for and an end may take: neither waits for a store that is away.
_PATIENCE: Final = timedelta(seconds=1)
# A PostgreSQL that hangs must not keep reports waiting when Temporal can take them.
_STORE_PATIENCE: Final = timedelta(seconds=2)
_AGAIN: Final = timedelta(seconds=5)


@dataclass
class Services:
    """All parts of an API process.

    It opens, and serves what it can, with PostgreSQL away and with Temporal away.
    """

    settings: Settings
    engine: AsyncEngine
    client: Client
    holder: PolicyHolder
    keys: KeyRing
    reload: PolicyReload
    presence: Presence
    reception: Reception
    outcome_book: OutcomeBook
    probe_relay: ProbeRelay
    health: HealthProbe
    incident_desk: IncidentDesk
    recovery_desk: RecoveryDesk
    breaker_desk: BreakerDesk
    feed: EventFeed
    people: PeopleFront
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Put the parts together and set them to work.

        Raises:
            ConfigurationError: If the policy file is broken or no database is set.
        """
        holder = PolicyHolder(load(settings.config))
        if settings.database_url is None:
            raise ConfigurationError("HOLDFAST_DATABASE_URL is not set: where is PostgreSQL?")
        url = settings.database_url.get_secret_value()
        engine = create_engine(url, command_timeout=_STORE_PATIENCE)
        client = unconnected(await connect(settings, lazy=True))
        services = cls._composed(settings, engine, client, holder)
        await services.start()
        return services

    @classmethod
    def _composed(
        cls, settings: Settings, engine: AsyncEngine, client: Client, holder: PolicyHolder
    ) -> Self:
        def policy() -> Policy:
            return holder.policy

        admin = settings.admin_key.get_secret_value() if settings.admin_key else None
        keys = KeyRing(Keys(engine), admin_secret=admin)
        reload = PolicyReload(engine, holder)
        queue = settings.task_queue
        intake = Intake(engine)
        dispatcher = Dispatcher(client=client, intake=intake, policy=policy, task_queue=queue)
        desk = IncidentDesk(client=client, incidents=Incidents(engine))
        people = PeopleFront.composed(settings, engine, desk, policy)
        feed = EventFeed(engine, loaded=lambda: holder.current)

        async def follow_policy() -> None:
            await reload.follow()
            feed.follow_policy()

        return cls(
            settings=settings,
            engine=engine,
            client=client,
            holder=holder,
            keys=keys,
            reload=reload,
            presence=Presence(
                engine,
                kind=ProcessKind.API,
                version=running_version(),
                policy_hash=lambda: holder.current.hash,
                hearing={
                    KEYS_CHANGED: keys.refresh,
                    POLICY_CHANGED: follow_policy,
                    SILENCES_CHANGED: people.silence_book.refresh,
                },
            ),
            reception=Reception(intake=intake, dispatcher=dispatcher),
            outcome_book=OutcomeBook(OutcomeLedger(engine), policy=policy),
            probe_relay=ProbeRelay(client),
            health=HealthProbe(engine=engine, client=client, task_queue=queue),
            incident_desk=desk,
            recovery_desk=RecoveryDesk(client=client, policy=policy, task_queue=queue),
            breaker_desk=BreakerDesk(
                client=client, policy=policy, task_queue=queue, recorded=feed.board.breaker
            ),
            feed=feed,
            people=people,
        )

    async def start(self) -> None:
        """Set the parts to work."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await self.keys.refresh()
        except Exception as error:  # noqa: BLE001  # the start's edge: they are read later
            log.warning("API keys are not read yet; the admin's works", why=str(error))
        for missing in await self.missing_secrets():
            log.warning("a secret is missing", path=missing.path, why=missing.problem)
        await self.reception.start()
        await self.outcome_book.start()
        await self.presence.start()
        await self.feed.start()
        await self.people.start()
        self._tasks = [
            asyncio.create_task(self.keys.keep_fresh(), name="keep the keys fresh"),
            asyncio.create_task(
                _until_done(lambda: ensure_search_attributes(self.client)),
                name="ensure search attributes",
            ),
        ]

    async def close(self) -> None:
        """Stop all parts and let go of the stores; what is under way gets a moment."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self.people.stop()
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await self.feed.stop()
                await self.reception.stop()
                await self.outcome_book.stop()
                await self.probe_relay.stop()
                await self.presence.stop()
                await self.engine.dispose()
        except TimeoutError:
            log.warning("not everything stopped in time")

    async def missing_secrets(self) -> list[MissingSecret]:
        """The secrets that the policy names and this process does not have."""
        return await asyncio.to_thread(missing_secrets, self.holder.policy, os.environ)

    @property
    def roster(self) -> Roster:
        """Who is on call."""
        return self.people.roster

    @property
    def action_links(self) -> ActionLinks:
        """Reads the one-time links of emails."""
        return self.people.links

    @property
    def silence_desk(self) -> SilenceDesk:
        """Makes and ends silences."""
        return self.people.silence_desk

    @property
    def slack(self) -> SlackFront:
        """Where Slack comes in."""
        return self.people.slack

    @property
    def twilio(self) -> TwilioInbox:
        """Where text messages come in."""
        return self.people.twilio

    @property
    def pagerduty(self) -> PagerDutyInbox:
        """Where PagerDuty comes in."""
        return self.people.pagerduty

    @property
    def alertmanager(self) -> AlertmanagerInbox:
        """Where Alertmanager comes in."""
        return AlertmanagerInbox(
            policy=lambda: self.holder.policy, reception=self.reception, desk=self.incident_desk
        )

    @property
    def sentry(self) -> SentryInbox:
        """Where Sentry comes in."""
        return SentryInbox(
            policy=lambda: self.holder.policy,
            secrets=Secrets(os.environ),
            reception=self.reception,
            desk=self.incident_desk,
        )

    @property
    def audit(self) -> Audit:
        """The audit log."""
        return Audit(self.engine)

    @property
    def entities(self) -> Entities:
        """The record of breakers, degradations and recoveries."""
        return Entities(self.engine)

    @property
    def incidents(self) -> Incidents:
        """The record of incidents."""
        return Incidents(self.engine)

    @property
    def intake(self) -> Intake:
        """What was taken and is not counted yet."""
        return Intake(self.engine)

    @property
    def issued_keys(self) -> Keys:
        """The API keys as they are stored."""
        return Keys(self.engine)

    @property
    def processes(self) -> Processes:
        """The register of running processes."""
        return Processes(self.engine)

    @property
    def statistics(self) -> Statistics:
        """How recovery goes."""
        return Statistics(self.engine)


async def _until_done(work: Callable[[], Awaitable[object]]) -> None:
    """Do something once, however long what it needs is away."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # the task's edge: it is tried again
            log.info("not done yet, trying again", why=str(error))
            await asyncio.sleep(_AGAIN.total_seconds())
        else:
            return

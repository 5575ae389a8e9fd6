"""Owns the composition of all that pages people: channels, calendars, silences, the ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.action_link import ActionLinks
from activities.calendars import Calendars
from activities.channels.channel import Addresses
from activities.channels.senders import Senders
from activities.escalate import EscalateActivities
from activities.notify import NotifyActivities
from activities.page_holds import PageHolds
from activities.roster import Roster
from activities.silence_book import SilenceBook
from config.secrets import Secrets
from config.settings import Settings
from holdfast.domain.policy import Policy
from storage.channel_health import ChannelHealth
from storage.incidents import Incidents
from storage.page_ledger import PageLedger
from storage.silences import Silences
from worker.check_up import CheckUp


@dataclass(frozen=True)
class Paging:
    """The parts of a worker that page people.

    Attributes:
        silences: The silences as this process knows them.
        check_up: Finds out whether channels and calendars work before they are needed.
    """

    notify: NotifyActivities
    escalate: EscalateActivities
    silences: SilenceBook
    check_up: CheckUp
    _senders: Senders
    _calendars: Calendars

    @classmethod
    def composed(
        cls,
        settings: Settings,
        *,
        policy: Callable[[], Policy],
        secrets: Secrets,
        engine: AsyncEngine,
        http: httpx.AsyncClient,
        namespace: str,
    ) -> Self:
        """Put the parts together.

        Args:
            settings: Where people reach the other parts.
            policy: Gives the present policy.
            secrets: Gives tokens and passwords.
            engine: PostgreSQL.
            http: For webhooks and calendars.
            namespace: Temporal's, for links.
        """
        senders = Senders(policy=policy, secrets=secrets, public_url=settings.public_url, http=http)
        calendars = Calendars(secrets=secrets, http=http)
        silences = SilenceBook(Silences(engine))
        ledger, incidents = PageLedger(engine), Incidents(engine)
        links = _addresses(settings, namespace).links
        return cls(
            notify=NotifyActivities(senders=senders, secrets=secrets, links=links, pages=ledger),
            escalate=EscalateActivities(
                policy=policy,
                roster=Roster(policy=policy, calendars=calendars),
                holds=PageHolds(silences=silences, incidents=incidents),
                ledger=ledger,
                incidents=incidents,
            ),
            silences=silences,
            check_up=CheckUp(
                ChannelHealth(engine),
                policy=policy,
                check=senders.check,
                check_calendar=calendars.check,
                hidden=secrets.hidden,
            ),
            _senders=senders,
            _calendars=calendars,
        )

    async def close(self) -> None:
        """Let go of the vendors' connections, and stop what is being looked up."""
        await self.check_up.stop()
        await self._calendars.close()
        await self._senders.close()


def _addresses(settings: Settings, namespace: str) -> Addresses:
    secret = settings.link_secret.get_secret_value() if settings.link_secret else None
    return Addresses(
        public_url=settings.public_url,
        temporal_ui_url=settings.temporal_ui_url,
        namespace=namespace,
        act_url=ActionLinks(secret, settings.public_url).url,
    )

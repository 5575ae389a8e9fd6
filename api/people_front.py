"""Owns the API's parts that face people: who is on call, and where chats and phones come in."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.action_link import ActionLinks
from activities.calendars import Calendars
from activities.page_holds import PageHolds
from activities.roster import OnCall, Roster
from activities.silence_book import SilenceBook
from api.incident_book import RecordedIncidents
from api.incident_desk import IncidentDesk
from api.pagerduty_inbox import PagerDutyInbox
from api.silence_desk import SilenceDesk
from api.slack.front import SlackFront
from api.twilio_inbox import TwilioInbox
from api.words import obey
from config.secrets import Secrets
from config.settings import Settings
from holdfast.domain.channel import ChannelKind
from holdfast.domain.custody import Actor
from holdfast.domain.directory import channels_of, display_name
from holdfast.domain.person import Contact
from holdfast.domain.policy import Policy
from holdfast.errors import Unavailable
from storage.incidents import Incidents
from storage.page_ledger import PageLedger
from storage.silences import Silences


@dataclass
class PeopleFront:
    """Where people and their devices reach an API process, and what it knows of them.

    Attributes:
        holds: Says what would keep a page back.
        silence_book: The silences as this process knows them.
        silence_desk: Makes and ends them.
        links: Reads the one-time links of emails.
    """

    roster: Roster
    calendars: Calendars
    holds: PageHolds
    silence_book: SilenceBook
    silence_desk: SilenceDesk
    links: ActionLinks
    slack: SlackFront
    twilio: TwilioInbox
    pagerduty: PagerDutyInbox
    _http: httpx.AsyncClient

    @classmethod
    def composed(
        cls,
        settings: Settings,
        engine: AsyncEngine,
        desk: IncidentDesk,
        policy: Callable[[], Policy],
    ) -> Self:
        """Put the parts together."""
        secrets, http = Secrets(os.environ), httpx.AsyncClient(follow_redirects=False)
        incidents, silences = Incidents(engine), Silences(engine)
        calendars, silence_book = Calendars(secrets=secrets, http=http), SilenceBook(silences)
        roster = Roster(policy=policy, calendars=calendars)
        book = RecordedIncidents(incidents)
        ear = _Ear(policy=policy, desk=desk, book=book, ledger=PageLedger(engine), roster=roster)
        link_secret = settings.link_secret.get_secret_value() if settings.link_secret else None
        return cls(
            roster=roster,
            calendars=calendars,
            holds=PageHolds(silences=silence_book, incidents=incidents),
            silence_book=silence_book,
            silence_desk=SilenceDesk(silences=silences, incidents=incidents, recheck=desk.recheck),
            links=ActionLinks(link_secret, settings.public_url),
            slack=SlackFront.of(incidents=desk, obey=ear.obey, policy=policy, secrets=secrets),
            twilio=TwilioInbox(
                policy=policy,
                secrets=secrets,
                public_url=settings.public_url,
                desk=desk,
                book=book,
                newest_for=ear.newest_for,
                on_call=ear.on_call,
            ),
            pagerduty=PagerDutyInbox(policy=policy, secrets=secrets, desk=desk, book=book),
            _http=http,
        )

    async def start(self) -> None:
        """Begin to listen to those that are listened to."""
        await self.slack.start()

    async def stop(self) -> None:
        """Listen no more, and let go of the connections."""
        await self.slack.stop()
        await self.silence_desk.stop()
        await self.calendars.close()
        await self._http.aclose()


@dataclass(frozen=True)
class _Ear:
    """Understands what people type, wherever they type it."""

    policy: Callable[[], Policy]
    desk: IncidentDesk
    book: RecordedIncidents
    ledger: PageLedger
    roster: Roster

    async def obey(self, text: str, by: Actor) -> str:
        """Do what somebody in Slack typed; says what came of it."""
        person = self.policy().people.get(by.person or "")
        newest = None
        if person:
            # Without PostgreSQL the words say that they need the incident's id.
            with suppress(Unavailable):
                newest = await self.ledger.newest_for(person.contacts)
        return await obey(
            text,
            desk=self.desk,
            book=self.book,
            policy=self.policy(),
            by=by,
            newest=newest,
            now=datetime.now(UTC),
            on_call=self.on_call,
        )

    async def newest_for(self, number: str) -> str | None:
        """The incident that a telephone was paged for last."""
        names = channels_of(self.policy(), ChannelKind.SMS)
        return await self.ledger.newest_for([Contact(channel=name, to=number) for name in names])

    async def on_call(self) -> Sequence[str]:
        """Who is on call, a line for each schedule."""
        policy = self.policy()
        found = await self.roster.now_and_next(datetime.now(UTC))
        return [_told(each, policy) for each in found]


def _told(on_call: OnCall, policy: Policy) -> str:
    """Who is on call in a schedule, in a line."""
    now = on_call.now
    who = display_name(policy.people, now.person) if now.person else "nobody"
    until = f" until {now.ends_at:%Y-%m-%d %H:%M} UTC" if now.ends_at else ""
    problem = f" ({on_call.problem})" if on_call.problem else ""
    return f"{on_call.schedule}: {who}{until}{problem}"

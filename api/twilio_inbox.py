"""Owns what comes from Twilio: what people text, and what became of what was sent to them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from starlette.datastructures import URL, QueryParams
from twilio.request_validator import (  # type: ignore[import-untyped]  # it ships no types
    RequestValidator,
)
from twilio.twiml.messaging_response import MessagingResponse  # type: ignore[import-untyped]

from activities.excerpt import legible
from api.incident_book import IncidentBook
from api.incident_desk import IncidentDesk
from api.vendor_secrets import readable
from api.words import OnCall, obey
from config.secrets import Secrets
from holdfast.domain.channel import ChannelKind, SmsChannel
from holdfast.domain.custody import Via
from holdfast.domain.directory import actor, find_person
from holdfast.domain.notification import DeliveryReport
from holdfast.domain.policy import Policy
from holdfast.errors import IncidentAlreadyResolved, Unauthenticated, Unavailable

log = structlog.get_logger(__name__)

NewestFor = Callable[[str], Awaitable[str | None]]
"""Gives the id of the incident that an address was paged for last."""

_UNKNOWN: Final = (
    "Holdfast does not know this number, so nothing was done. If it is yours, ask for it to be "
    "added to your contacts."
)
# What Twilio sends at the most, in as many parts as it takes.
_LONGEST: Final = 1600
# From Twilio's dictionary of errors (twilio.com/docs/api/errors).
_MEANINGS: Final[Mapping[str, str]] = {
    "30003": "the telephone can't be reached",
    "30004": "the message was blocked",
    "30005": "the number is unknown or out of service",
    "30006": "a landline, or a carrier that can't be reached",
    "30007": "taken for unwanted, by Twilio or the carrier",
    "30008": "Twilio does not know why",
}


@dataclass(frozen=True)
class TwilioInbox:
    """Takes what Twilio sends.

    Attributes:
        public_url: Where Twilio reaches the API, from the settings.
        newest_for: Tells what a number was paged for last; may raise ``Unavailable``.
        on_call: Tells who is on call, for those who ask.
    """

    policy: Callable[[], Policy]
    secrets: Secrets
    public_url: str | None
    desk: IncidentDesk
    book: IncidentBook
    newest_for: NewestFor
    on_call: OnCall | None = None

    async def verify(self, url: URL, form: QueryParams, signature: str | None) -> None:
        """Make sure that Twilio sent a form, for one of the policy file's accounts.

        Args:
            url: Where it came in.
            form: All of it.
            signature: The header ``X-Twilio-Signature``.

        Raises:
            Unauthenticated: If it did not.
        """
        channels = self.policy().channels.values()
        references = [each.auth_token for each in channels if isinstance(each, SmsChannel)]
        signed = self._signed_url(url)
        for token in await readable(self.secrets, references):
            if signature and RequestValidator(token).validate(signed, form, signature):
                return
        raise Unauthenticated(
            "this is not signed by Twilio with the token of any sms channel, or not for "
            f"{signed.partition('?')[0]}; check auth_token and HOLDFAST_PUBLIC_URL"
        )

    def _signed_url(self, url: URL) -> str:
        """What Twilio signed: the URL as it knows it, which proxies on the way may change."""
        if self.public_url is None:
            return str(url)
        query = f"?{url.query}" if url.query else ""
        return f"{self.public_url.rstrip('/')}{url.path}{query}"

    async def answer(self, form: QueryParams) -> str:
        """Do what somebody texted, and give the answer to them as TwiML."""
        # Twilio itself has answered a STOP, START or HELP that it marks so.
        said = "" if form.get("OptOutType") else await self._obeyed(form)
        response = MessagingResponse()
        if said:
            response.message(legible(said)[:_LONGEST])
        return str(response)

    async def _obeyed(self, form: QueryParams) -> str:
        policy, number = self.policy(), form.get("From", "")
        person = find_person(policy, ChannelKind.SMS, number)
        if person is None:
            log.warning("an unknown number texted; nothing was done")
            return _UNKNOWN
        return await obey(
            form.get("Body", ""),
            desk=self.desk,
            book=self.book,
            policy=policy,
            by=actor(policy, person, via=Via.SMS),
            newest=await self._newest(number),
            now=datetime.now(UTC),
            on_call=self.on_call,
        )

    async def _newest(self, number: str) -> str | None:
        try:
            return await self.newest_for(number)
        except Unavailable as error:
            log.info("the last page to a number is not known", why=str(error))
            return None

    async def report(self, incident_id: str, notification_id: str, form: QueryParams) -> None:
        """Tell an incident whether a message arrived; what comes before that changes nothing.

        Raises:
            NotFound: If there is no such incident.
            Unavailable: If Temporal gave no answer in time.
        """
        status = form.get("MessageStatus")
        if status not in {"delivered", "undelivered", "failed"}:
            return
        arrived = status == "delivered"
        report = DeliveryReport(
            notification_id=notification_id,
            delivered=arrived,
            reason="" if arrived else _reason(status, form.get("ErrorCode")),
        )
        try:
            await self.desk.delivered(incident_id, report)
        except IncidentAlreadyResolved as error:
            log.info("a delivery report came too late to matter", why=str(error))


def _reason(status: str, code: str | None) -> str:
    if not code:
        return f"Twilio says {status}"
    meaning = f": {_MEANINGS[code]}" if code in _MEANINGS else ""
    return f"Twilio says {status} with error {code}{meaning}"

"""Owns the sending to whatever Apprise knows, by its URLs."""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from apprise.logger import LOGGER_NAME
from apprise.result import AppriseResultStatus

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.mail_message import subject, text
from activities.excerpt import in_a_sentence
from activities.outbound import seconds
from config.secrets import HIDDEN, Secrets
from holdfast.domain.channel import AppriseChannel
from holdfast.domain.notification import FailureKind, Notification, NotificationKind, Receipt
from holdfast.domain.severity import Severity

# A URL that Apprise cannot read goes into its log with its tokens; what matters is told from here.
logging.getLogger(LOGGER_NAME).propagate = False

_TYPES: Final[Mapping[Severity, NotifyType]] = {
    Severity.LOW: NotifyType.INFO,
    Severity.MEDIUM: NotifyType.WARNING,
    Severity.HIGH: NotifyType.FAILURE,
    Severity.CRITICAL: NotifyType.FAILURE,
}
# Of so many notifications it is remembered who took them; of an older one, all are told again.
_REMEMBERED: Final = 1000

# Which part of a URL is a token, Apprise alone knows: none is told that could be one.
_PARTS: Final = re.compile(r"[^:/@?&=#,;\s]{6,}")


@dataclass(frozen=True)
class _Service:
    """What one of a channel's references leads to.

    Attributes:
        place: 1 for the channel's first URL.
    """

    place: int
    url: str
    apprise: Apprise

    def problem(self, said: str) -> str:
        """What went wrong, for people: without any part of the URL."""
        parts = _PARTS.findall(self.url)
        # The longest first: a part may hold another one.
        for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
            said = said.replace(part, HIDDEN)
        return f"URL {self.place}: {in_a_sentence(said)}"


class AppriseSender:
    """Sends to each of a channel's URLs; a retry goes to those that have not taken it yet.

    Apprise says of a failure that there was one, but not whether it is for good.

    Args:
        channel: As the policy file describes it.
        secrets: Gives the URLs; asked each time, so that a new one needs no restart.
    """

    def __init__(self, channel: AppriseChannel, secrets: Secrets) -> None:
        self._channel = channel
        self._secrets = secrets
        # The URLs that took a notification, by its id, for as long as others have not.
        self._taken: OrderedDict[str, frozenset[int]] = OrderedDict()

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """See ``channel.Sender``; it went through when every URL took it."""
        body = text(notification, links)
        taken = self._taken.get(notification.id, frozenset())
        missing = [each for each in await self._services() if each.place not in taken]
        answers = await asyncio.gather(*(self._told(it, notification, body) for it in missing))
        problems = {
            service.place: problem
            for service, problem in zip(missing, answers, strict=True)
            if problem
        }
        if problems:
            took = {service.place for service in missing} - problems.keys()
            self._remember(notification.id, taken | took)
            raise DeliveryDeferred(f"Apprise: {'; '.join(problems.values())}")
        self._taken.pop(notification.id, None)
        return Receipt()

    async def check(self) -> None:
        """See ``channel.Sender``: Apprise reads the URLs, but can't ask whether they work."""
        await self._services()

    async def close(self) -> None:
        """Nothing to do: no connection is kept."""

    async def _told(self, service: _Service, notification: Notification, body: str) -> str | None:
        """Tell one of them; gives what went wrong, if anything did."""
        with await service.apprise.async_notify(
            body=body,
            title=subject(notification),
            notify_type=_type(notification),
            body_format=NotifyFormat.TEXT,
            timeout=self._channel.timeout.total_seconds(),
        ) as result:
            if result:
                return None
            if result.status is AppriseResultStatus.TIMEOUT:
                return service.problem(f"no answer within {seconds(self._channel.timeout)}")
            said = " ".join(entry.message for entry in result.logs())
        return service.problem(said or "it was not taken")

    def _remember(self, notification_id: str, taken: frozenset[int]) -> None:
        self._taken[notification_id] = taken
        if len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)

    async def _services(self) -> Sequence[_Service]:
        # In a thread: files are read, and the first time Apprise loads all the services it knows.
        return await asyncio.to_thread(self._made)

    def _made(self) -> Sequence[_Service]:
        made = []
        for place, reference in enumerate(self._channel.urls, start=1):
            url = self._secrets.resolve(reference)
            apprise = Apprise(asset=AppriseAsset(app_id="Holdfast", app_desc="Holdfast"))
            if not apprise.add(url):
                reason = (
                    f"Apprise does not understand URL {place}, {reference}; see its documentation"
                )
                raise DeliveryRejected(FailureKind.CONFIGURATION, reason)
            made.append(_Service(place, url, apprise))
        return made


def _type(notification: Notification) -> NotifyType:
    good_news = {
        NotificationKind.ACKNOWLEDGED: NotifyType.INFO,
        NotificationKind.RESOLVED: NotifyType.SUCCESS,
    }
    return good_news.get(notification.kind) or _TYPES[notification.headline.severity]

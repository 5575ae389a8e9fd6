"""Owns the sending to PagerDuty through its Events API v2, and how an incident is known there."""

import asyncio
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import Any, Final, assert_never

import httpx
import pagerduty

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.sms_text import SHORT, short_id
from activities.excerpt import in_a_sentence
from activities.outbound import cause, retry_after, seconds
from config.secrets import Secrets
from holdfast.domain.channel import PagerDutyChannel
from holdfast.domain.notification import FailureKind, Notification, NotificationKind, Receipt
from holdfast.domain.severity import Severity
from holdfast.errors import ConfigurationError

_KEY: Final = "holdfast:"
_MARK: Final = re.compile(rf"\[holdfast (\w{{{SHORT}}})\]$")

# developer.pagerduty.com/docs/send-alert-event: the longest summary, and a routing key's length.
_SUMMARY: Final = 1024
_ROUTING_KEY: Final = 32
# PagerDuty that hangs holds up these threads, and not those in which everybody's secrets are read.
_THREADS: Final = 4

Event = dict[str, Any]

_SEVERITIES: Final[Mapping[Severity, str]] = {
    Severity.LOW: "info",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "critical",
}


def dedup_key(incident_id: str) -> str:
    """What PagerDuty tells an incident's events by, so that a repeat changes nothing."""
    return f"{_KEY}{incident_id}"


def incident_of(key: str | None, title: str) -> str | None:
    """What an incident of PagerDuty's is called here: the whole id, or its end; None if it isn't.

    Args:
        key: Its ``incident_key``: our dedup key, or anything else where a service creates alerts
            and incidents, for then the alert has it.
        title: Its title: the first event's summary, which ends with a mark of ours.
    """
    if key and key.startswith(_KEY):
        return key.removeprefix(_KEY)
    mark = _MARK.search(title.strip())
    return mark[1] if mark else None


class PagerDutySender:
    """Sends events with one channel's routing key.

    A trigger for an incident that PagerDuty has open only goes on its record while somebody there
    has acknowledged it; PagerDuty's events can't take an acknowledgement back.

    Args:
        channel: As the policy file describes it.
        secrets: Gives the routing key; asked each time, so that a new one needs no restart.

    Raises:
        ConfigurationError: If the channel's base_url cannot be used.
    """

    def __init__(self, channel: PagerDutyChannel, secrets: Secrets) -> None:
        self._channel = channel
        self._secrets = secrets
        self._client = _OneTry(_RoutingKey(channel, secrets), channel)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="pagerduty")

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """See ``channel.Sender``; PagerDuty knows a repeat by the dedup key.

        Returns:
            The dedup key as the reference.
        """
        event = _event(notification, links)
        try:
            async with asyncio.timeout(self._channel.timeout.total_seconds()):
                key = await asyncio.get_running_loop().run_in_executor(
                    self._threads, lambda: self._client.send_event(**event)
                )
        except TimeoutError as error:
            reason = f"PagerDuty gave no answer within {seconds(self._channel.timeout)}"
            raise DeliveryDeferred(reason) from error
        except pagerduty.Error as error:
            if error.response is None:
                reason = f"PagerDuty could not be reached: {cause(error)}"
            else:
                reason = f"PagerDuty answered {error.response.status_code}, but not as it should"
            raise DeliveryDeferred(reason) from error
        return Receipt(reference=key)

    async def check(self) -> None:
        """See ``channel.Sender``: only whether the routing key looks like one.

        Its Events API can't be asked anything; every event of an unknown incident alarms people.
        """
        key = await asyncio.to_thread(self._secrets.resolve, self._channel.routing_key)
        if len(key) != _ROUTING_KEY:
            raise DeliveryRejected(
                FailureKind.CONFIGURATION,
                f"the routing key {self._channel.routing_key} has {len(key)} characters; PagerDuty "
                f"shows one of {_ROUTING_KEY} with the service's Events API v2 integration",
            )

    async def close(self) -> None:
        """Close the connections to PagerDuty; a thread that waits for it gives up in a moment."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()


class _RoutingKey(pagerduty.RoutingKeyAuthMethod):
    """The channel's routing key, which the client asks for in its thread for each event."""

    def __init__(self, channel: PagerDutyChannel, secrets: Secrets) -> None:
        super().__init__(channel.routing_key)  # type: ignore[no-untyped-call]  # not typed there
        self._secrets = secrets

    @property
    def auth_param(self) -> dict[str, str]:
        """What signs an event in.

        Raises:
            ConfigurationError: If the secret is missing.
        """
        return {"routing_key": self._secrets.resolve(self.secret)}


class _OneTry(pagerduty.EventsApiV2Client):
    """Sends an event once; trying again is Temporal's part, and the library would do it itself."""

    max_network_attempts = 0

    def __init__(self, auth_method: _RoutingKey, channel: PagerDutyChannel) -> None:
        super().__init__(auth_method.secret, base_url=channel.base_url)
        self.auth_method = auth_method
        # Whole seconds for its thread to give up; whoever waits for it does so in time.
        self.timeout = ceil(channel.timeout.total_seconds())

    @property
    def url(self) -> str:
        """Where PagerDuty is; the library takes https alone, which what stands in rarely has."""
        return self._base_url_given

    @url.setter
    def url(self, base_url: str) -> None:
        try:
            httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"PagerDuty's base_url cannot be used: {error}") from error
        self._base_url_given = base_url

    def postprocess(self, response: Any) -> None:
        """Tell failures apart before the library waits and tries again.

        Raises:
            DeliveryRejected: If PagerDuty will never take the event.
            DeliveryDeferred: If it may later.
        """
        if not response.is_success:
            raise _failure(response)


def _failure(response: Any) -> DeliveryRejected | DeliveryDeferred:
    status = response.status_code
    words = _said(response)
    reason = f"PagerDuty answered {status}" + (f": {in_a_sentence(words)}" if words else "")
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        asked = retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC))
        return DeliveryDeferred(reason, retry_after=asked)
    signing_in = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    if signing_in or httpx.codes.is_redirect(status):
        return DeliveryRejected(FailureKind.CONFIGURATION, reason)
    return DeliveryRejected(FailureKind.REJECTED, reason)


def _said(response: Any) -> str:
    """PagerDuty's message with its errors, or whatever came in their place."""
    try:
        said = response.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return str(response.text)
    errors = said.get("errors")
    listed = ", ".join(map(str, errors)) if isinstance(errors, list) else ""
    return ": ".join(str(each) for each in (said.get("message"), listed) if each)


def _event(notification: Notification, links: Links) -> Event:
    """The event as the client takes it."""
    key = dedup_key(notification.headline.incident_id)
    match notification.kind:
        case NotificationKind.PAGE | NotificationKind.REMINDER | NotificationKind.UNACKNOWLEDGED:
            return {"action": "trigger", "dedup_key": key} | _alert(notification, links)
        case NotificationKind.ACKNOWLEDGED:
            return {"action": "acknowledge", "dedup_key": key}
        case NotificationKind.RESOLVED:
            return {"action": "resolve", "dedup_key": key}
        case NotificationKind.UPDATE:
            reason = "PagerDuty's alerts can't be brought up to date"
            raise DeliveryRejected(FailureKind.REJECTED, reason)
        case _:
            assert_never(notification.kind)


def _alert(notification: Notification, links: Links) -> Event:
    headline = notification.headline
    named = {"Incident": links.incident_url, "Temporal": links.temporal_url}
    alert = {
        "payload": {
            "summary": _summary(notification),
            "timestamp": headline.opened_at.isoformat(),
            "source": headline.service,
            "component": headline.service,
            "severity": _SEVERITIES[headline.severity],
            "class": headline.category,
            "custom_details": _details(notification),
        },
        "links": [{"href": url, "text": name} for name, url in named.items() if url],
        "client": "Holdfast",
    }
    return alert | ({"client_url": links.incident_url} if links.incident_url else {})


def _summary(notification: Notification) -> str:
    """What PagerDuty shows as the title, and reads aloud; it ends with our mark."""
    headline = notification.headline
    lead = {
        NotificationKind.REMINDER: "Reminder: ",
        NotificationKind.UNACKNOWLEDGED: "Nobody has it any more: ",
    }.get(notification.kind, "")
    more = f" (and {len(notification.bundled)} more)" if notification.bundled else ""
    end = f"{more} [holdfast {short_id(headline.incident_id)}]"
    begin = f"{lead}{headline.service}: {headline.title}"
    room = _SUMMARY - len(end)
    return f"{begin if len(begin) <= room else f'{begin[: room - 1]}…'}{end}"


def _details(notification: Notification) -> Event:
    """What there is to know besides, without what is not known."""
    headline = notification.headline
    details = {
        "incident": headline.incident_id,
        "status": headline.status,
        "severity": headline.severity.value,
        "reports": headline.report_count,
        "why": headline.reason,
        "what was tried": list(headline.tried),
        "what happens next": headline.outlook,
        "who has it": headline.holder,
        "who was not reached": list(headline.unreached),
        "level": f"{notification.level}, round {notification.round}",
        "notification": notification.id,
        "also": [
            f"{short_id(each.incident_id)} {each.severity.value} {each.service}: {each.title}"
            for each in notification.bundled
        ],
    }
    return {name: fact for name, fact in details.items() if fact}

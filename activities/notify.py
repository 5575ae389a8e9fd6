"""Owns the sending of notifications: over the channel that the policy names, tried once.

Every try is remembered from one to the next in the activity's heartbeats, so that an incident can
show them all: when, and what went wrong.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.senders import Senders
from config.secrets import Secrets
from holdfast.domain.notification import (
    DeliveryAttempt,
    FailureKind,
    Notification,
    NotificationKind,
    Receipt,
)
from holdfast.errors import ConfigurationError, Unavailable

DEFERRED = "deferred"

# As often as a worker tells Temporal that it is still at it; it hears then that it may stop.
HEARTBEAT_EVERY = timedelta(seconds=1)
_RECORD_PATIENCE = timedelta(milliseconds=500)
# Whoever takes an incident waits for it.
_LAST_PATIENCE = timedelta(seconds=1)


class SentPages(Protocol):
    """Where a page that went out is remembered; see ``storage.page_ledger``."""

    async def sent(self, notification_id: str) -> None:
        """A page went out, with all that it speaks for."""
        ...


@dataclass(frozen=True)
class NotifyActivities:
    """Tells people over the channels of the current policy.

    Attributes:
        senders: The channels.
        links: Gives a notification's links.
        pages: Is told of the pages that went out.
    """

    senders: Senders
    secrets: Secrets
    links: Callable[[Notification], Links]
    pages: SentPages

    @activity.defn(name="send_notification")
    async def send_notification(self, notification: Notification) -> Receipt:
        """Send one notification once; Temporal tries again.

        Raises:
            ApplicationError: With every try as its details. Non-retryable with a ``FailureKind``
                as its type when it can never go through; else of type ``deferred``, with the
                delay that the channel asked for.
        """
        tries = [DeliveryAttempt.model_validate(each) for each in activity.info().heartbeat_details]
        try:
            async with _heartbeating(tries):
                receipt = await self._send_to_the_end(notification)
        # Without their causes: Temporal would keep those too, and with them what is hidden here.
        except DeliveryRejected as error:
            raise self._lasting(error.kind, error, tries) from None
        except ConfigurationError as error:
            raise self._lasting(FailureKind.CONFIGURATION, error, tries) from None
        except DeliveryDeferred as error:
            raise self._passing(error, tries) from None
        if notification.kind is NotificationKind.PAGE:
            await self._remember(notification)
        tries.append(DeliveryAttempt(at=datetime.now(UTC)))
        return receipt.model_copy(update={"attempts": tuple(tries)})

    async def _send_to_the_end(self, notification: Notification) -> Receipt:
        """Send it; what is on the wire as it is given up may still arrive, and be known to."""
        sending = asyncio.create_task(self._send(notification))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            with suppress(TimeoutError, DeliveryRejected, DeliveryDeferred, ConfigurationError):
                return await asyncio.wait_for(sending, _LAST_PATIENCE.total_seconds())
            raise

    async def _send(self, notification: Notification) -> Receipt:
        sender = self.senders.of(notification.address.channel)
        return await sender.send(notification, self.links(notification))

    async def _remember(self, notification: Notification) -> None:
        """Have the ledger know; what it misses is at worst told twice."""
        try:
            async with asyncio.timeout(_RECORD_PATIENCE.total_seconds()):
                await self.pages.sent(notification.id)
        except (TimeoutError, Unavailable) as error:
            activity.logger.warning("a page that went out is not in the ledger: %s", error)

    def _passing(self, error: DeliveryDeferred, tries: list[DeliveryAttempt]) -> ApplicationError:
        reason = self._noted(error, tries)
        # Not worth a traceback each time: Temporal tries again and shows how often.
        activity.logger.warning("a notification waits: %s", reason)
        return ApplicationError(
            reason,
            *_told(tries),
            type=DEFERRED,
            next_retry_delay=error.retry_after,
            category=ApplicationErrorCategory.BENIGN,
        )

    def _lasting(
        self, kind: FailureKind, error: Exception, tries: list[DeliveryAttempt]
    ) -> ApplicationError:
        reason = self._noted(error, tries)
        return ApplicationError(reason, *_told(tries), type=kind.value, non_retryable=True)

    def _noted(self, error: Exception, tries: list[DeliveryAttempt]) -> str:
        """Remember a try that failed, for the next one; what went wrong, without secrets."""
        reason = self.secrets.hidden(str(error))
        tries.append(DeliveryAttempt(at=datetime.now(UTC), problem=reason))
        activity.heartbeat(*_told(tries))
        return reason


def _told(tries: list[DeliveryAttempt]) -> list[object]:
    return [each.model_dump(mode="json") for each in tries]


@asynccontextmanager
async def _heartbeating(tries: list[DeliveryAttempt]) -> AsyncIterator[None]:
    """Tell Temporal that this goes on, and hear whether it may stop."""

    async def beat() -> None:
        while True:
            activity.heartbeat(*_told(tries))
            await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()

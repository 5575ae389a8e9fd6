"""Owns the handing of one notification to its channel, and what the incident keeps of it."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TemporalTimeout
from temporalio.workflow import ActivityCancellationType

from activities.notify import NotifyActivities
from holdfast.domain.audit import AuditEvent
from holdfast.domain.notification import (
    Delivery,
    DeliveryAttempt,
    DeliveryStatus,
    FailureKind,
    Notification,
    NotificationKind,
    Receipt,
)
from workflows.boards import Boards
from workflows.case import Case

# A worker that died is noticed by its silence, long before the time for a try has passed.
_TRY_TIMEOUT = timedelta(minutes=2)
_SILENCE = timedelta(seconds=10)
_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(seconds=30)
NOT_NEEDED = "no longer needed"


class Post:
    """Sends notifications, and notes on the incident how each went.

    Args:
        case: The incident.
        boards: Takes the messages that can be edited.
    """

    def __init__(self, case: Case, boards: Boards) -> None:
        self._case = case
        self._boards = boards

    async def send(
        self, notification: Notification, delivery: Delivery, *, within: timedelta
    ) -> bool:
        """Hand a notification to its channel, tried for so long; whether it was taken."""
        self._boards.expect(notification.id)
        try:
            receipt = await workflow.execute_activity_method(
                NotifyActivities.send_notification,
                notification,
                activity_id=notification.id,
                start_to_close_timeout=_TRY_TIMEOUT,
                schedule_to_close_timeout=within,
                heartbeat_timeout=_SILENCE,
                retry_policy=_retries(within),
                # Nobody is told that nothing goes out any more before that is so.
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=f"{notification.kind.value} to {whom(delivery)}",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                self.end(delivery, DeliveryStatus.CANCELLED, reason=NOT_NEEDED)
                return True
            self._fail(delivery, error)
            return False
        else:
            self._took(notification, delivery, receipt)
            return True
        finally:
            self._boards.expect_no_more(notification.id)

    def _took(self, notification: Notification, delivery: Delivery, receipt: Receipt) -> None:
        sent = self.end(
            delivery,
            DeliveryStatus.SENT,
            reference=receipt.reference,
            attempts=receipt.attempts,
        )
        if sent.edits and sent.reference and sent.kind is NotificationKind.PAGE:
            self._boards.post(sent, notification.headline)

    def _fail(self, delivery: Delivery, error: ActivityError) -> None:
        kind, reason, attempts = failure_of(error)
        self.end(delivery, DeliveryStatus.FAILED, failure=kind, reason=reason, attempts=attempts)

    def end(self, delivery: Delivery, status: DeliveryStatus, **result: Any) -> Delivery:
        """Note how far a delivery has come; gives it as it is then."""
        ended = delivery.model_copy(
            update={"status": status, "finished_at": workflow.now()}
            | {"held_until": None, "next_contact_at": None}
            | result
        )
        event, how = _told_as(ended)
        self._case.note(
            event,
            f"{ended.kind.words} to {whom(ended)} {how}",
            becomes=self._case.incident.delivering(ended),
            detail=ended.model_dump(mode="json"),
        )
        return ended


def _retries(within: timedelta) -> RetryPolicy:
    """Pauses that fit the time there is: Temporal gives up when the next would end after it."""
    longest = min(_LONGEST_PAUSE, within / 6)
    return RetryPolicy(initial_interval=min(_PAUSE, longest), maximum_interval=longest)


def failure_of(error: ActivityError) -> tuple[FailureKind, str, tuple[DeliveryAttempt, ...]]:
    """Why a notification failed for good, in words, and every try that was made."""
    expired = isinstance(error.cause, TemporalTimeout)
    # A time that ran out has the last try's failure behind it.
    cause = error.cause.cause if isinstance(error.cause, TemporalTimeout) else error.cause
    cause = cause or error.cause
    kind = FailureKind.EXPIRED
    attempts: tuple[DeliveryAttempt, ...] = ()
    reason = str(cause or error)
    if isinstance(cause, ApplicationError):
        reason = cause.message
        attempts = tuple(DeliveryAttempt.model_validate(each) for each in cause.details)
        if cause.type in set(FailureKind) and not expired:
            kind = FailureKind(cause.type)
    if kind is FailureKind.EXPIRED:
        reason = f"it could not be sent in time: {reason}"
    return kind, reason, attempts


def _told_as(delivery: Delivery) -> tuple[AuditEvent, str]:
    """The fact that a delivery's end is, and the end of its sentence."""
    match delivery.status:
        case DeliveryStatus.SENT:
            return AuditEvent.NOTIFICATION_SENT, "was sent"
        case DeliveryStatus.DELIVERED:
            return AuditEvent.NOTIFICATION_DELIVERED, "was delivered"
        case DeliveryStatus.BUNDLED:
            return AuditEvent.NOTIFICATION_BUNDLED, f"was {delivery.reason}"
        case DeliveryStatus.CANCELLED:
            return AuditEvent.NOTIFICATION_CANCELLED, f"was not sent: {delivery.reason}"
        case _:
            return AuditEvent.NOTIFICATION_FAILED, f"was not sent: {delivery.reason}"


def whom(delivery: Delivery) -> str:
    """Where a delivery goes, for people."""
    where = str(delivery.contact or delivery.target)
    return f"{delivery.person}, {where}" if delivery.person else where

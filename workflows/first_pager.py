"""Owns the paging of incidents that the first version opened: they end as they began.

What they ask of Temporal, and in which order, is fixed by their histories. Everything newer is in
``pager.py``.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.notify import NotifyActivities
from holdfast.domain.audit import AuditEvent
from holdfast.domain.escalation import EscalationChoice
from holdfast.domain.notification import (
    Delivery,
    DeliveryStatus,
    FailureKind,
    Notification,
    NotificationKind,
)
from holdfast.domain.page import Page
from workflows.case import Case
from workflows.first_ladder import FirstLadder
from workflows.waiting import until

# A page is worth an hour's tries: long enough for a channel's outage, short enough that nobody
# is woken by what is long over. News of an end is worth little by then.
_PAGE_WORTH = timedelta(hours=1)
_NEWS_WORTH = timedelta(seconds=30)
_SEND_TIMEOUT = timedelta(seconds=30)
_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
)


class FirstPager:
    """Pages level by level, for as long as nobody holds the incident."""

    def __init__(self, case: Case) -> None:
        self.ladder: FirstLadder | None = None
        self._case = case
        self._pages: set[asyncio.Task[None]] = set()
        self._news: set[asyncio.Task[None]] = set()

    @property
    def is_sending(self) -> bool:
        """Whether a message is on its way."""
        return bool(self._pages or self._news)

    async def climb(self) -> None:
        """Wait for recovery's chance to pass, then page level after level."""
        choice = self._case.plan.escalation
        if choice is None or self._case.plan.is_ignored or not self._case.is_held_by_nobody:
            return
        if self.ladder and self.ladder.next_at is None:
            return
        if self.ladder is None:
            if not await self._hold(choice):
                return
            self.ladder = FirstLadder.starting(choice.policy, at=workflow.now())
        while self._case.is_held_by_nobody and self.ladder.next_at:
            if page := self.ladder.due(workflow.now()):
                self.ladder = self.ladder.climbed(workflow.now())
                self._page(page, choice, self.ladder)
            else:
                await self._wait_for_turn(self.ladder)
        if self._case.is_held_by_nobody:
            self._case.note(
                AuditEvent.ESCALATION_ENDED,
                f"the last level of '{choice.name}' was paged; there is nobody left to page",
            )

    async def _hold(self, choice: EscalationChoice) -> bool:
        """Give recovery its chance; whether the pages' time has come then."""
        case = self._case
        if choice.hold_page_for:
            end = workflow.now() + choice.hold_page_for
            escalation = case.incident.escalation.model_copy(update={"held_until": end})
            case.note(
                AuditEvent.ESCALATION_HELD,
                f"the first page is held until {end:%H:%M:%S} to give recovery its chance",
                becomes=case.incident.model_copy(update={"escalation": escalation}),
            )
            await until(
                lambda: case.recovery_over or not case.is_held_by_nobody,
                within=choice.hold_page_for,
                summary=f"recovery's chance before '{choice.name}' pages",
            )
        return case.is_held_by_nobody and not case.ignored

    async def _wait_for_turn(self, ladder: FirstLadder) -> None:
        if ladder.next_at:
            await until(
                lambda: not self._case.is_held_by_nobody,
                within=ladder.next_at - workflow.now(),
                summary=f"level {ladder.next_level + 1} is paged unless somebody acknowledges",
            )

    def _page(self, page: Page, choice: EscalationChoice, after: FirstLadder) -> None:
        """Notify all targets of a level side by side, without waiting for them."""
        escalation = self._case.incident.escalation.model_copy(
            update={
                "level": page.level,
                "round": page.round,
                "held_until": None,
                "next_level_at": after.next_at,
            }
        )
        escalated = self._case.incident.escalated(escalation)
        notifications = [
            Notification(
                id=f"{escalated.id}:page:{page.round}:{page.level}:{place}",
                kind=NotificationKind.PAGE,
                target=target,
                level=page.level,
                round=page.round,
                headline=escalated.headline(_outlook(after)),
            )
            for place, target in enumerate(page.targets, start=1)
        ]
        deliveries = [self._start(each, self._pages, _PAGE_WORTH) for each in notifications]
        for delivery in deliveries:
            escalated = escalated.delivering(delivery)
        targets = ", ".join(str(target) for target in page.targets)
        self._case.note(
            AuditEvent.ESCALATION_LEVEL_PAGED,
            f"level {page.level} of '{choice.name}' is paged: {targets}",
            becomes=escalated,
            detail={"level": page.level, "round": page.round, "policy": choice.name},
        )

    def tell(self, kind: NotificationKind) -> None:
        """Send news to everybody who was paged, each once, in reply to their page."""
        for page in self._case.incident.told():
            notification = Notification(
                id=f"{page.notification_id}:{kind.value}",
                kind=kind,
                target=page.target,
                level=page.level,
                round=page.round,
                headline=self._case.incident.headline(self._case.incident.whose),
                reply_to=page.reference,
            )
            delivery = self._start(notification, self._news, _NEWS_WORTH)
            self._case.incident = self._case.incident.delivering(delivery)

    def stop(self) -> None:
        """Page nobody any more: what is on its way or between two tries is given up."""
        self.ladder = None
        for task in self._pages:
            task.cancel()

    def counted(self, _count: int) -> None:
        """Nothing to do: the first version's rules do not ask how often."""

    def reconsider(self) -> None:
        """Nothing to do: the first version chooses once."""

    async def pages_stopped(self) -> None:
        """Wait until no page is on its way."""
        await workflow.wait_condition(lambda: not self._pages)

    async def sent(self) -> None:
        """Wait until nothing at all is on its way."""
        await workflow.wait_condition(lambda: not self.is_sending)

    def _start(
        self, notification: Notification, among: set[asyncio.Task[None]], worth: timedelta
    ) -> Delivery:
        """Put a notification on its way; what is tried longer than it is worth is given up."""
        delivery = Delivery(
            notification_id=notification.id,
            kind=notification.kind,
            target=notification.target,
            level=notification.level,
            round=notification.round,
            queued_at=workflow.now(),
        )
        task = asyncio.create_task(self._deliver(notification, delivery, worth))
        among.add(task)
        task.add_done_callback(lambda task: self._left(task, delivery, among))
        return delivery

    def _left(
        self, task: asyncio.Task[None], delivery: Delivery, among: set[asyncio.Task[None]]
    ) -> None:
        among.discard(task)
        if task.cancelled():  # before it began, so it could not tell of it itself
            self._end(delivery, DeliveryStatus.CANCELLED, reason="no longer needed")

    async def _deliver(
        self, notification: Notification, delivery: Delivery, worth: timedelta
    ) -> None:
        try:
            receipt = await workflow.execute_activity_method(
                NotifyActivities.send_notification,
                notification,
                start_to_close_timeout=_SEND_TIMEOUT,
                schedule_to_close_timeout=worth,
                retry_policy=_RETRIES,
                summary=f"{notification.kind.value} to {notification.target}",
            )
        except asyncio.CancelledError:
            self._end(delivery, DeliveryStatus.CANCELLED, reason="no longer needed")
        except ActivityError as error:
            if is_cancelled_exception(error):
                self._end(delivery, DeliveryStatus.CANCELLED, reason="no longer needed")
            else:
                self._fail(delivery, error)
        else:
            self._end(delivery, DeliveryStatus.SENT, reference=receipt.reference)

    def _fail(self, delivery: Delivery, error: ActivityError) -> None:
        cause = error.cause
        kind, reason = FailureKind.EXPIRED, str(cause or error)
        if isinstance(cause, ApplicationError):
            reason = cause.message
            kind = FailureKind(cause.type) if cause.type in set(FailureKind) else kind
        self._end(delivery, DeliveryStatus.FAILED, failure=kind, reason=reason)

    def _end(self, delivery: Delivery, status: DeliveryStatus, **result: str | None) -> None:
        ended = delivery.model_copy(
            update={"status": status, "finished_at": workflow.now(), **result}
        )
        if status is DeliveryStatus.SENT:
            event, how = AuditEvent.NOTIFICATION_SENT, "was sent"
        else:
            event, how = AuditEvent.NOTIFICATION_FAILED, f"was not sent: {ended.reason}"
        self._case.note(
            event,
            f"{delivery.kind.words} to {delivery.target} {how}",
            becomes=self._case.incident.delivering(ended),
            detail=ended.model_dump(mode="json"),
        )


def _outlook(ladder: FirstLadder) -> str:
    if ladder.next_at is None:
        return "This was the last level; nobody else will be paged."
    return (
        f"Level {ladder.next_level + 1} is paged at {ladder.next_at:%H:%M:%S} UTC "
        "unless somebody acknowledges."
    )

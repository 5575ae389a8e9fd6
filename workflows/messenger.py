"""Owns the way of an incident's pages: over one contact after another, until one works."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.escalate import EscalateActivities
from holdfast.domain.audit import AuditEvent
from holdfast.domain.notification import (
    Delivery,
    DeliveryReport,
    DeliveryStatus,
    FailureKind,
    Notification,
    NotificationKind,
)
from holdfast.domain.page import AdmissionRequest, Page, PagesWithdrawn, Recipient, Way
from holdfast.domain.throttle import Admission, AdmissionKind
from workflows.boards import Boards
from workflows.case import Case
from workflows.news import News
from workflows.post import NOT_NEEDED, Post, whom
from workflows.waiting import until

# A page is worth an hour's tries: long enough for a channel's outage, short enough that nobody
# is woken by what is long over.
_PAGE_WORTH = timedelta(hours=1)
_QUICK = timedelta(seconds=5)


class Messenger:
    """Carries notifications out, each in a task of its own.

    Args:
        case: The incident.
        boards: Takes the messages that can be edited.
        on_unreached: Called with a page, the place of its target and a sentence when nothing
            reaches the target.
        sent: The ways of what the run before sent, and may still hear about.
    """

    def __init__(
        self,
        case: Case,
        boards: Boards,
        *,
        on_unreached: Callable[[Page, int, str], None],
        sent: Sequence[Way] = (),
    ) -> None:
        self._case = case
        self._post = Post(case, boards)
        self._on_unreached = on_unreached
        self.news = News(case, self._post)
        # In order: what is given up must be so in the same order when the history is replayed.
        self._pages: list[asyncio.Task[None]] = []
        self._waiting: set[str] = set()
        self._ways = {each.notification_id(case.incident.id): each for each in sent}
        # What a channel said of a message before its answer that it took it was here.
        self._early: dict[str, DeliveryReport] = {}

    @property
    def is_sending(self) -> bool:
        """Whether a message is on its way."""
        return bool(self._pages) or self.news.is_sending

    @property
    def sent(self) -> tuple[Way, ...]:
        """The ways of messages of which their channels may still say whether they arrived."""
        found = ((way, self._case.incident.delivery(name)) for name, way in self._ways.items())
        return tuple(way for way, it in found if it and it.status is DeliveryStatus.SENT)

    def page(self, page: Page, recipients: Sequence[Recipient], *, policy: str) -> None:
        """Put a page on its way to all its recipients side by side, without waiting for them."""
        for place, recipient in enumerate(recipients):
            way = Way(page=page, place=place, recipient=recipient, policy=policy)
            if recipient.hops:
                self._start(way)
            else:
                self._nobody(way)

    def _start(self, way: Way) -> None:
        delivery = self._delivery(way)
        self._case.incident = self._case.incident.delivering(delivery)
        task = asyncio.create_task(self._reach(way, delivery))
        self._pages.append(task)

        def left(task: asyncio.Task[None]) -> None:
            self._pages.remove(task)
            if task.cancelled():  # before it began, so it could not tell of it itself
                self._post.end(delivery, DeliveryStatus.CANCELLED, reason=NOT_NEEDED)

        task.add_done_callback(left)

    def _delivery(self, way: Way) -> Delivery:
        there = way.here
        return Delivery(
            notification_id=way.notification_id(self._case.incident.id),
            kind=NotificationKind.PAGE,
            target=way.page.targets[way.place],
            contact=there.contact,
            person=there.person,
            edits=there.edits,
            mirrors=there.mirrors,
            level=way.page.level,
            round=way.page.round,
            queued_at=workflow.now(),
        )

    async def _reach(self, way: Way, delivery: Delivery) -> None:
        """Try one contact after another until one works."""
        while True:
            try:
                if await self._told(way, delivery):
                    return
            except (asyncio.CancelledError, FailureError) as error:
                # A local activity that is given up ends with the latter.
                if not is_cancelled_exception(error):
                    raise
                self._post.end(delivery, DeliveryStatus.CANCELLED, reason=NOT_NEEDED)
                return
            if self._is_taken:
                return
            if way.further is None:
                break
            way = way.further
            delivery = self._delivery(way)
            self._case.incident = self._case.incident.delivering(delivery)
        last = self._case.incident.delivery(delivery.notification_id)
        why = last.reason if last else "nothing worked"
        self._on_unreached(way.page, way.place, f"{way.recipient.who} could not be reached: {why}")

    @property
    def _is_taken(self) -> bool:
        """Whether somebody took the incident as the last contact failed: no other is told."""
        # Incidents that are open since before this told the next one all the same.
        return not self._case.is_held_by_nobody and workflow.patched("no-contact-once-taken")

    async def _told(self, way: Way, delivery: Delivery) -> bool:
        """Tell one contact, once it may be told; whether it is."""
        admission = await self._admitted(way, delivery)
        if admission.kind is AdmissionKind.COVERED:
            reason = f"told together with others, by the message {admission.covered_by}"
            self._post.end(delivery, DeliveryStatus.BUNDLED, reason=reason)
            return True
        incident = self._case.incident
        notification = Notification(
            id=delivery.notification_id,
            kind=NotificationKind.PAGE,
            target=delivery.target,
            contact=delivery.contact,
            person=delivery.person,
            level=delivery.level,
            round=delivery.round,
            headline=incident.headline(self._case.outlook, unreached=way.page.unreached),
            bundled=admission.bundled,
        )
        deadline = way.here.deadline if way.further else None
        turn = {"next_contact_at": workflow.now() + deadline if deadline else None}
        delivery = delivery.model_copy(update=turn | {"bundled": admission.bundled})
        self._case.incident = incident.delivering(delivery)
        self._ways[delivery.notification_id] = way
        sent = await self._post.send(notification, delivery, within=deadline or _PAGE_WORTH)
        early = self._early.pop(notification.id, None)
        # Incidents that are open since before this let such a report fall.
        if early and workflow.patched("early-delivery-reports"):
            self.report(early)
        return sent

    async def _admitted(self, way: Way, delivery: Delivery) -> Admission:
        """Wait until a contact may be told, or need not be."""
        first = way.recipient.admission if way.hop == 0 else None
        admission = first or await self._admission(way, delivery)
        while admission.kind is AdmissionKind.WAIT and admission.until:
            self._waiting.add(delivery.notification_id)
            self._hold(delivery, admission)
            await until(
                lambda: False,
                within=admission.until - workflow.now(),
                summary=f"the page to {delivery.contact} waits: {admission.reason}",
            )
            admission = await self._admission(way, delivery)
        self._waiting.discard(delivery.notification_id)
        return admission

    async def _admission(self, way: Way, delivery: Delivery) -> Admission:
        if delivery.contact is None:
            return Admission()
        return await workflow.execute_local_activity_method(
            EscalateActivities.admit_page,
            AdmissionRequest(
                at=workflow.now(),
                subject=self._case.subject,
                policy=way.policy,
                notification_id=delivery.notification_id,
                contact=delivery.contact,
            ),
            start_to_close_timeout=_QUICK,
            summary=f"may {delivery.contact} be told now",
        )

    def _hold(self, delivery: Delivery, admission: Admission) -> None:
        held = delivery.model_copy(
            update={
                "status": DeliveryStatus.HELD,
                "held_until": admission.until,
                "next_contact_at": None,
                "reason": admission.reason,
            }
        )
        self._case.note(
            AuditEvent.NOTIFICATION_HELD,
            f"the page to {whom(held)} waits: {admission.reason}",
            becomes=self._case.incident.delivering(held),
            detail=held.model_dump(mode="json"),
        )

    def _nobody(self, way: Way) -> None:
        """Keep on the record that a target has nobody behind it."""
        page, problem = way.page, way.recipient.problem
        delivery = Delivery(
            notification_id=way.notification_id(self._case.incident.id),
            kind=NotificationKind.PAGE,
            target=page.targets[way.place],
            person=way.recipient.person,
            level=page.level,
            round=page.round,
            queued_at=workflow.now(),
        )
        self._post.end(delivery, DeliveryStatus.FAILED, failure=FailureKind.NOBODY, reason=problem)
        self._on_unreached(page, way.place, problem)

    def report(self, report: DeliveryReport) -> None:
        """Take what a channel says of a message that it took; what is stale is ignored.

        It may say so before its answer to the sending was here: that is kept until then.
        """
        delivery = self._case.incident.delivery(report.notification_id)
        if delivery and delivery.status is DeliveryStatus.QUEUED:
            self._early[report.notification_id] = report
            return
        if delivery is None or delivery.status is not DeliveryStatus.SENT:
            return
        if report.delivered:
            self._post.end(delivery, DeliveryStatus.DELIVERED)
            return
        failure = FailureKind.UNDELIVERED
        self._post.end(delivery, DeliveryStatus.FAILED, failure=failure, reason=report.reason)
        way = self._ways.get(report.notification_id)
        if way is None or not self._case.is_held_by_nobody:
            return
        if way.further:
            self._start(way.further)
        else:
            problem = f"{way.recipient.who} could not be reached: {report.reason}"
            self._on_unreached(way.page, way.place, problem)

    async def stop_pages(self) -> None:
        """Give up every page that is not out yet, and wait until none is on its way."""
        self.cancel_pages()
        # Not those that begin meanwhile: somebody may want the incident paged again.
        pages = tuple(self._pages)
        await workflow.wait_condition(lambda: not any(each in self._pages for each in pages))
        if self._waiting:
            self._waiting.clear()
            await workflow.execute_local_activity_method(
                EscalateActivities.withdraw_pages,
                PagesWithdrawn(incident_id=self._case.incident.id),
                start_to_close_timeout=_QUICK,
                summary="no bundle tells of this incident",
            )

    def cancel_pages(self) -> None:
        """Give up every page that is not out yet."""
        for task in self._pages:
            task.cancel()

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        await workflow.wait_condition(lambda: not self.is_sending)

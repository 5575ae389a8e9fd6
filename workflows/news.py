"""Owns the news: what everybody who was paged is told of what became of it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow

from holdfast.domain.custody import Actor
from holdfast.domain.notification import Delivery, DeliveryStatus, Notification, NotificationKind
from holdfast.domain.page import Recipient
from workflows.case import Case
from workflows.post import Post

# News of an end is worth little once it is old.
_WORTH = timedelta(seconds=30)


class News:
    """Follows pages up, each in reply to its page.

    Args:
        case: The incident.
        post: Sends.
    """

    def __init__(self, case: Case, post: Post) -> None:
        self._case = case
        self._post = post
        self._sending: set[asyncio.Task[bool]] = set()

    @property
    def is_sending(self) -> bool:
        """Whether some is on its way."""
        return bool(self._sending)

    def tell(self, kind: NotificationKind, *, by: Actor | None = None) -> None:
        """Send news to everybody who was paged, in reply to their page.

        Whoever did it knows; messages that can be edited show it.
        """
        for page in self._case.incident.told():
            knows = by is not None and by.person is not None and by.person == page.person
            if page.edits or (knows and not page.mirrors):
                continue
            self._send(kind, page)

    def speak(self, kind: NotificationKind, recipients: Sequence[Recipient]) -> None:
        """Send news to somebody in particular: to whoever has the incident, or had it."""
        for recipient in recipients:
            if recipient.hops:
                self._send(kind, self._thread(recipient))

    def _thread(self, recipient: Recipient) -> Delivery:
        """What news to a recipient follows up: their page, if they had one."""
        incident, there = self._case.incident, recipient.hops[0]
        references = (e.reference for e in incident.told() if e.contact == there.contact)
        return Delivery(
            notification_id=f"{incident.id}:holder",
            kind=NotificationKind.PAGE,
            target=recipient.target,
            contact=there.contact,
            person=there.person,
            level=incident.escalation.level,
            round=incident.escalation.round,
            queued_at=workflow.now(),
            reference=next(references, None),
        )

    def _send(self, kind: NotificationKind, page: Delivery) -> None:
        incident = self._case.incident
        before = sum(
            each.notification_id.startswith(f"{page.notification_id}:{kind.value}")
            for each in incident.deliveries
        )
        name = f"{page.notification_id}:{kind.value}" + (f":{before + 1}" if before else "")
        news = {
            "notification_id": name,
            "kind": kind,
            "status": DeliveryStatus.QUEUED,
            "queued_at": workflow.now(),
            "finished_at": None,
            "reason": None,
            "attempts": (),
            "bundled": (),
        }
        delivery = page.model_copy(update=news)
        self._case.incident = incident.delivering(delivery)
        notification = Notification(
            id=name,
            kind=kind,
            target=page.target,
            contact=page.contact,
            person=page.person,
            level=page.level,
            round=page.round,
            headline=incident.headline(self._case.outlook),
            reply_to=page.reference,
        )
        task = asyncio.create_task(self._post.send(notification, delivery, within=_WORTH))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

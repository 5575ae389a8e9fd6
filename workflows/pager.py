"""Owns the escalation of an incident: whatever is due is done, until somebody has it or it is over.

What is due is decided by the domain (``duty.py``, ``ladder.py``); who that reaches at this moment,
and what holds it back, by a local activity (``activities/escalate.py``).
"""

from datetime import timedelta
from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.escalate import EscalateActivities
from holdfast.domain.audit import SYSTEM, AuditEvent
from holdfast.domain.custody import Actor
from holdfast.domain.duty import DutyKind, duty, wakes_at
from holdfast.domain.frequency import Tally
from holdfast.domain.incident import Incident
from holdfast.domain.ladder import Ladder
from holdfast.domain.notification import NotificationKind
from holdfast.domain.outlook import upcoming
from holdfast.domain.page import (
    Behind,
    HoldKind,
    LookUp,
    Page,
    PageHold,
    PageOrder,
    PageRequest,
    Recipient,
    Way,
)
from holdfast.domain.target import Target
from workflows.boards import Boards
from workflows.case import Case
from workflows.messenger import Messenger
from workflows.standing import Standing
from workflows.waiting import until

_QUICK = timedelta(seconds=5)


class Pager:
    """Pages level by level, for as long as nobody has the incident.

    Args:
        case: The incident.
        boards: Its messages that can be edited.
        ladder: Where the run before left its escalation.
        tallies: What the run before counted of its reports.
        sent: The ways of what the run before sent, and may still hear about.
    """

    def __init__(
        self,
        case: Case,
        boards: Boards,
        *,
        ladder: Ladder | None = None,
        tallies: tuple[Tally, ...] | None = None,
        sent: tuple[Way, ...] = (),
    ) -> None:
        self.standing = Standing(case, ladder=ladder, tallies=tallies)
        self.messenger = Messenger(case, boards, on_unreached=self.standing.failed, sent=sent)
        self._case = case
        self._not_behind: set[str] = set()

    @property
    def is_sending(self) -> bool:
        """Whether a message is on its way."""
        return self.messenger.is_sending

    def counted(self, count: int) -> None:
        """Count reports for the rules that ask how often the error was reported."""
        self.standing.rules.counted(count)

    def reconsider(self) -> None:
        """Ask the escalation rules again."""
        self.standing.reconsider()

    def stop(self) -> None:
        """Page nobody any more."""
        self.messenger.cancel_pages()

    def tell(self, kind: NotificationKind) -> None:
        """Send news to everybody who was paged."""
        self.messenger.news.tell(kind)

    async def sent(self) -> None:
        """Wait until nothing is on its way."""
        await self.messenger.stop_pages()
        await self.messenger.settled()

    async def climb(self) -> None:
        """Do what is due, sleep until something will be, for as long as the incident is open."""
        try:
            await self._begin()
            await self._do_what_is_due()
        except FailureError as error:
            # A local activity that is under way when the run ends.
            if not is_cancelled_exception(error):
                raise

    async def _do_what_is_due(self) -> None:
        while True:
            due = duty(self._case.incident, self.standing.ladder, now=workflow.now())
            if due is None:
                await self._wait()
                continue
            match due.kind:
                case DutyKind.PAGE:
                    if due.page:
                        await self._page(due.page)
                case DutyKind.REMIND:
                    await self._remind()
                case DutyKind.TAKE_BACK:
                    had = f"{self._case.incident.acknowledged_by} had it for too long"
                    await self._take_back(f"{had}: escalation goes on")
                case DutyKind.WAKE_UP:
                    await self._take_back("the snooze is over: escalation goes on")
                case DutyKind.RELIEVE:
                    self.standing.relieve()
                case _:
                    assert_never(due.kind)

    async def _begin(self) -> None:
        if self.standing.ladder is None and not self._case.pages_nobody:
            await self.standing.rules.count_incidents()
            self.standing.reconsider()

    async def _wait(self) -> None:
        """Sleep until something is due, or changed what will be."""
        before = self.standing.signature

        def changed() -> bool:
            return self.standing.signature != before or self.standing.recovery_gave_up

        wakes = wakes_at(self._case.incident, self.standing.ladder)
        if wakes is None:
            await workflow.wait_condition(changed)
        else:
            coming = upcoming(self._case.incident)
            await until(
                changed,
                within=wakes - workflow.now(),
                summary=coming.what if coming else "escalation goes on",
            )
        if self.standing.recovery_gave_up:
            self.standing.end_recoverys_chance()

    async def _page(self, page: Page) -> None:
        """Look up what a due page comes to, and send it unless something holds it."""
        await self.standing.rules.count_incidents()
        self.standing.reconsider()
        ladder = self.standing.ladder
        if ladder is None or ladder.due(workflow.now()) != page:
            return
        order = await self._order(page, ladder)
        # Meanwhile somebody may have taken the incident, or handed it over.
        if self.standing.ladder is not ladder or not self._case.is_held_by_nobody:
            return
        if order.hold:
            await self._hold(ladder, order.hold)
        else:
            self._send(page, ladder, order)

    async def _order(self, page: Page, ladder: Ladder) -> PageOrder:
        plan = self._case.plan
        request = PageRequest(
            at=workflow.now(),
            subject=self._case.subject,
            page=page,
            policy=ladder.choice.name,
            hours=plan.book.hours.get(ladder.policy.only_during or ""),
            depends_on=plan.service.depends_on,
            not_behind=tuple(sorted(self._not_behind)),
        )
        return await workflow.execute_local_activity_method(
            EscalateActivities.prepare_page,
            request,
            start_to_close_timeout=_QUICK,
            summary=f"whom level {page.level} reaches now",
        )

    async def _hold(self, ladder: Ladder, hold: PageHold) -> None:
        known = self._case.incident.escalation.hold
        self.standing.put(ladder.held(hold))
        if known is None or known.reason != hold.reason:
            self._case.note(
                AuditEvent.ESCALATION_HELD,
                f"the page is held: {hold.reason}",
                detail=hold.model_dump(mode="json"),
            )
        if hold.kind is HoldKind.DEPENDENCY and hold.by:
            await self._wait_behind(hold.by)

    async def _wait_behind(self, other: str) -> None:
        """Have another incident say when it is over."""
        handle = workflow.get_external_workflow_handle(other)
        try:
            await handle.signal("wait_behind", Behind(workflow_id=workflow.info().workflow_id))
        except FailureError:
            # It is over by now, or was ended by hand.
            self._not_behind.add(other)
            self.standing.recheck()

    def _send(self, page: Page, ladder: Ladder, order: PageOrder) -> None:
        case, choice = self._case, ladder.choice
        self.standing.ladder = taken = ladder.taken(page, now=workflow.now())
        escalation = taken.seen(case.incident.escalation)
        escalation = escalation.model_copy(update={"shift_ends_at": order.shift_ends_at})
        case.incident = case.incident.escalated(escalation)
        case.note(
            AuditEvent.ESCALATION_LEVEL_PAGED,
            f"level {page.level} of '{choice.name}' is paged: "
            + ", ".join(recipient.who for recipient in order.recipients),
            detail={
                "level": page.level,
                "round": page.round,
                "policy": choice.name,
                "cause": page.cause.value,
            },
        )
        self.messenger.page(page, order.recipients, policy=choice.name)
        if taken.next_at is None and taken.again is None:
            case.note(
                AuditEvent.ESCALATION_ENDED,
                f"the last level of '{choice.name}' was paged; there is nobody left to page",
            )

    async def _remind(self) -> None:
        """Remind whoever has the incident; whom the policy file does not know, over their page."""
        incident = self._case.incident
        person = incident.custody.person
        targets = (Target(person=person),) if person else _told(incident)
        recipients = await self._look_up(targets, f"where {incident.acknowledged_by} is reached")
        present = self._case.incident
        # Meanwhile they may have given it back, and somebody else may have taken it.
        if present.acknowledged_at == incident.acknowledged_at:
            reminded = present.custody.model_copy(update={"remind_at": None})
            self._case.incident = present.model_copy(update={"custody": reminded})
            self.messenger.news.speak(NotificationKind.REMINDER, recipients)

    async def _take_back(self, why: str) -> None:
        """Go on with paging; whoever had it hears of it also if they were never paged."""
        incident = self._case.incident
        self.give_back(why)
        person = incident.custody.person
        if person and all(page.person != person for page in incident.told()):
            had = f"where {incident.acknowledged_by} is reached"
            recipients = await self._look_up((Target(person=person),), had)
            self.messenger.news.speak(NotificationKind.UNACKNOWLEDGED, recipients)

    async def _look_up(self, targets: tuple[Target, ...], why: str) -> tuple[Recipient, ...]:
        order = await workflow.execute_local_activity_method(
            EscalateActivities.look_up,
            LookUp(at=workflow.now(), targets=targets),
            start_to_close_timeout=_QUICK,
            summary=why,
        )
        return order.recipients

    def give_back(self, why: str, *, by: Actor | None = None) -> None:
        """Go on with paging, because nobody has the incident any more.

        Raises:
            Conflict: If nobody had it.
        """
        case = self._case
        case.note(
            AuditEvent.INCIDENT_UNACKNOWLEDGED,
            why,
            becomes=case.incident.unacknowledged(),
            actor=by.name if by else SYSTEM,
        )
        self.standing.resume()
        self.messenger.news.tell(NotificationKind.UNACKNOWLEDGED, by=by)


def _told(incident: Incident) -> tuple[Target, ...]:
    targets = {str(page.target): page.target for page in incident.told()}
    return tuple(targets.values())

"""Owns the ladder: the pure state machine of an escalation that pages level after level.

A workflow asks it what is due now, sends that, and sleeps until it says when it wants to be asked
again. It knows neither the clock nor who is on call.
"""

from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime

from holdfast.domain.custody import Escalating
from holdfast.domain.escalation import EscalationChoice, EscalationLevel, EscalationPolicy
from holdfast.domain.model import Model
from holdfast.domain.page import HoldKind, Page, PageCause, PageHold
from holdfast.domain.target import Target
from holdfast.errors import Conflict


class Ladder(Model):
    """How far an escalation has come.

    Attributes:
        choice: The policy that it climbs, and why that one.
        next_level: The index of the level whose turn is next.
        round: The climb that the next level belongs to, 1 for the first.
        next_at: When that turn comes; None when the ladder is done.
        number: How many pages were taken.
        last: The page of the level that was paged last; None before the first.
        again: A page that goes before the next level's turn.
        hold: What keeps every page back for now.
        unanswered: The places of the last page's targets that may still be reached.
        unreached: What the next page is to tell: whom those before could not reach.
        urged: Whether a person asked for the next level: then nothing holds it.
    """

    choice: EscalationChoice
    next_level: int = 0
    round: int = 1
    next_at: AwareDatetime | None
    number: int = 0
    last: Page | None = None
    again: Page | None = None
    hold: PageHold | None = None
    unanswered: frozenset[int] = frozenset()
    unreached: tuple[str, ...] = ()
    urged: bool = False

    @classmethod
    def starting(
        cls, choice: EscalationChoice, *, now: datetime, hold: PageHold | None = None
    ) -> Self:
        """A ladder whose first level is due, unless it is held."""
        return cls(choice=choice, next_at=now, hold=hold)

    @classmethod
    def by_hand(cls, target: Target, *, now: datetime) -> Self:
        """A ladder of one level, for an incident that no policy fits and somebody hands over."""
        policy = EscalationPolicy(levels=(EscalationLevel(targets=(target,)),))
        choice = EscalationChoice(
            name="by hand",
            policy=policy,
            hold_page_for=timedelta(0),
            reason="somebody handed it over",
        )
        return cls(choice=choice, next_at=now, urged=True)

    @property
    def policy(self) -> EscalationPolicy:
        """The policy that it climbs."""
        return self.choice.policy

    @property
    def level(self) -> int:
        """The level that was paged last, 1 for the first; 0 before that."""
        return self.last.level if self.last else 0

    @property
    def wakes_at(self) -> datetime | None:
        """When a page is due, if nothing happens before; None when there will be none."""
        if self.again:
            return self.hold.until if self.hold else self.next_at
        if self.next_at and self.hold:
            return max(self.next_at, self.hold.until)
        return self.next_at

    def due(self, now: datetime) -> Page | None:
        """The page that is due, if one is."""
        if self.hold and now < self.hold.until:
            return None
        page = self.again
        if page is None and self.next_at and now >= self.next_at:
            level = self.policy.levels[self.next_level]
            cause = PageCause.URGED if self.urged else PageCause.LEVEL
            page = Page(
                level=self.next_level + 1, round=self.round, targets=level.targets, cause=cause
            )
        if page is None:
            return None
        return page.model_copy(update={"number": self.number + 1, "unreached": self.unreached})

    def taken(self, page: Page, *, now: datetime) -> Self:
        """The ladder after its due page was sent off.

        A level's wait counts from when it really was notified, so that a late ladder (its worker
        was down, its page was held) still gives every level its full time to answer.
        """
        sent: dict[str, object] = {"number": page.number, "again": None, "hold": None}
        sent |= {"unreached": (), "urged": False}
        if page.cause is not PageCause.SHIFT:
            sent |= {"last": page, "unanswered": frozenset(range(len(page.targets)))}
        levels = self.policy.levels
        following = now + levels[min(page.level, len(levels)) - 1].escalate_after
        if self.again is None:
            sent |= self._climbed(following)
        elif self.next_at:
            # A page out of turn gets its full time too; a ladder that is done stays done.
            sent["next_at"] = following
        return self._with(**sent)

    def _climbed(self, following: datetime) -> dict[str, object]:
        """Whose turn is next, with the time of that turn; none once the ladder is done."""
        next_level, round_ = self.next_level + 1, self.round
        if next_level == len(self.policy.levels):
            next_level, round_ = 0, round_ + 1
        done = round_ > self.policy.repeat + 1
        return {"next_level": next_level, "round": round_, "next_at": None if done else following}

    def failed(self, place: int, problem: str, *, page: Page, now: datetime) -> Self:
        """The ladder after a target could not be reached over anything.

        A mandatory one's failure is told to the next page. When none of a page's targets is left,
        what that page had to tell is told again and the next level's turn is at once; a further
        round keeps its time, lest it run in circles.

        Args:
            place: The target's place in its page.
            problem: Whom, and why, as a sentence.
            page: The page that it was a target of.
            now: The present moment.
        """
        told = (*self.unreached, problem) if page.targets[place].mandatory else self.unreached
        left, next_at = self.unanswered, self.next_at
        if self.last is not None and self.last.number == page.number and place in left:
            left -= {place}
            if not left:
                told = (*page.unreached, *told)
                begins_again = self.next_level == 0 and self.round > 1
                next_at = now if next_at and not begins_again else next_at
        # Each once: rounds that fail alike say the same.
        told = tuple(dict.fromkeys(told))
        return self._with(unanswered=left, unreached=told, next_at=next_at)

    def held(self, hold: PageHold) -> Self:
        """The ladder with every page kept back for now."""
        return self._with(hold=hold)

    def released(self, *kinds: HoldKind) -> Self:
        """The ladder without its hold, if that is of one of the kinds; without kinds, of any."""
        if self.hold and (not kinds or self.hold.kind in kinds):
            return self._with(hold=None)
        return self

    def resumed(self) -> Self:
        """The ladder after an acknowledgement or a snooze led nowhere: the last level again."""
        if self.last is None:
            return self
        return self._with(again=self._page(self.last.targets, PageCause.RESUMED))

    def reassigned(self, target: Target) -> Self:
        """The ladder with somebody to page before the next level's turn, hold or not."""
        return self._with(again=self._page((target,), PageCause.REASSIGNED), hold=None)

    def relieved(self) -> Self:
        """The ladder after a shift changed: the schedules of the last page are paged again."""
        schedules = tuple(each for each in self.last.targets if each.schedule) if self.last else ()
        if self.again or not schedules:
            return self
        return self._with(again=self._page(schedules, PageCause.SHIFT))

    def expedited(self, *, now: datetime) -> Self:
        """The ladder with the next level's turn now, hold or not.

        Raises:
            Conflict: If the last level was paged.
        """
        if self.next_at is None:
            raise Conflict(f"the last level of '{self.choice.name}' was paged already")
        return self._with(next_at=now, again=None, hold=None, urged=True)

    def switched(
        self, choice: EscalationChoice, *, now: datetime, hold: PageHold | None = None
    ) -> Self:
        """The ladder of a louder policy, from its first level; page numbers go on.

        What a person asked for goes all the same, hold or not.
        """
        again = self.again if self.again and self.again.cause.asked_for else None
        held = None if again or self.urged else hold
        return self._with(choice=choice, next_level=0, round=1, next_at=now, again=again, hold=held)

    def seen(self, before: Escalating) -> Escalating:
        """The escalation as people see it."""
        return before.model_copy(
            update={
                "policy": self.choice.name,
                "reason": self.choice.reason,
                "level": self.level,
                "round": self.last.round if self.last else 0,
                "held_until": self.hold.until if self.hold else None,
                "hold": self.hold,
                "next_level_at": self.next_at,
                "next_level": self.next_level + 1 if self.next_at else None,
                "unreached": self.unreached,
            }
        )

    def _page(self, targets: tuple[Target, ...], cause: PageCause) -> Page:
        round_ = self.last.round if self.last else 1
        return Page(level=max(self.level, 1), round=round_, targets=targets, cause=cause)

    def _with(self, **changes: object) -> Self:
        return self.model_copy(update=changes)

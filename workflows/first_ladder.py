"""Owns the ladder of the first version, for the incidents that began with it and are still open."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime

from holdfast.domain.custody import Escalating
from holdfast.domain.escalation import EscalationChoice, EscalationPolicy
from holdfast.domain.ladder import Ladder
from holdfast.domain.model import Model
from holdfast.domain.page import Page

_PAGES_BEFORE = 10_000


class FirstLadder(Model):
    """How far an escalation has come.

    Attributes:
        next_level: The index of the level whose turn is next.
        round: 1 for the first climb.
        next_at: When that turn comes; None when the ladder is done.
    """

    policy: EscalationPolicy
    next_level: int = 0
    round: int = 1
    next_at: AwareDatetime | None

    @classmethod
    def starting(cls, policy: EscalationPolicy, *, at: datetime) -> Self:
        """A ladder whose first level is due at a time."""
        return cls(policy=policy, next_at=at)

    def due(self, now: datetime) -> Page | None:
        """The page that is due, if one is."""
        if self.next_at is None or now < self.next_at:
            return None
        level = self.policy.levels[self.next_level]
        return Page(level=self.next_level + 1, round=self.round, targets=level.targets)

    def climbed(self, now: datetime) -> Self:
        """The ladder after its due page was taken."""
        wait = self.policy.levels[self.next_level].escalate_after
        following, climb = self.next_level + 1, self.round
        if following == len(self.policy.levels):
            following, climb = 0, climb + 1
        done = climb > self.policy.repeat + 1
        return self.model_copy(
            update={
                "next_level": following,
                "round": climb,
                "next_at": None if done else now + wait,
            }
        )

    def brought_forward(self, choice: EscalationChoice, seen: Escalating) -> Ladder:
        """The ladder of the present version that goes on where this one stands."""
        last = None
        if seen.level:
            targets = self.policy.levels[seen.level - 1].targets
            last = Page(level=seen.level, round=seen.round, targets=targets)
        return Ladder(
            choice=choice,
            next_level=self.next_level,
            round=self.round,
            next_at=self.next_at,
            # Beyond any page that it can have sent: what names those must not come again.
            number=_PAGES_BEFORE,
            last=last,
        )

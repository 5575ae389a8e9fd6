"""Owns escalation: which policy an incident follows, and the ladder of levels that pages people.

The ladder is a pure state machine. A workflow asks it what is due now, sends that, and sleeps
until it says when it wants to be asked again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, Field

from holdfast.domain.classification import Classification
from holdfast.domain.model import Duration, Model, Name
from holdfast.domain.report import Category
from holdfast.domain.severity import Severity


class Target(Model):
    """Whom a level notifies: an address on a channel.

    Attributes:
        channel: One of the policy file's channels.
        to: The address there (a Slack channel or member id); the channel's own when not given.
    """

    channel: Name
    to: str | None = Field(None, max_length=200)

    def __str__(self) -> str:
        return f"{self.channel} ({self.to})" if self.to else self.channel


class EscalationLevel(Model):
    """One level: its targets are notified side by side.

    Attributes:
        targets: Whom it notifies.
        escalate_after: How long it waits for an acknowledgement before the next level's turn.
    """

    targets: tuple[Target, ...] = Field(min_length=1)
    escalate_after: Duration = timedelta(minutes=5)


class EscalationPolicy(Model):
    """The ordered levels that page people until one answers.

    Attributes:
        repeat: How often the whole ladder is climbed again after its last level.
        hold_page_for: How long recovery gets its chance before the first page; nothing at all
            pages at once. Exhausted recovery ends the hold.
    """

    levels: tuple[EscalationLevel, ...] = Field(min_length=1)
    repeat: int = Field(0, ge=0, le=100)
    hold_page_for: Duration = timedelta(minutes=2)


class EscalationRule(Model):
    """Chooses a policy: all that is given must hold, within a list any."""

    policy: Name
    severity: tuple[Severity, ...] = ()
    category: tuple[Category, ...] = ()
    service: tuple[Name, ...] = ()
    hold_page_for: Duration | None = None

    def fits(self, *, service: str, classification: Classification) -> bool:
        """Whether an incident of this service and classification follows the rule."""
        return (
            (not self.severity or classification.severity in self.severity)
            and (not self.category or classification.category in self.category)
            and (not self.service or service in self.service)
        )


class EscalationChoice(Model):
    """The policy that an incident follows, pinned at its start, with the reason for it."""

    name: str
    policy: EscalationPolicy
    hold_page_for: Duration
    reason: str


DEFAULT_POLICY = "default"


def choose_policy(
    *,
    service: str,
    classification: Classification,
    rules: Sequence[EscalationRule],
    policies: Mapping[str, EscalationPolicy],
) -> EscalationChoice | None:
    """Choose an incident's policy: the first rule that fits, else the policy named ``default``.

    Returns:
        The choice, or None when no rule fits and there is no default: nobody will be paged.
    """
    for number, rule in enumerate(rules, start=1):
        if rule.fits(service=service, classification=classification):
            policy = policies[rule.policy]
            hold = policy.hold_page_for if rule.hold_page_for is None else rule.hold_page_for
            reason = f"escalation rule {number} chose '{rule.policy}'"
            return EscalationChoice(
                name=rule.policy, policy=policy, hold_page_for=hold, reason=reason
            )
    if default := policies.get(DEFAULT_POLICY):
        return EscalationChoice(
            name=DEFAULT_POLICY,
            policy=default,
            hold_page_for=default.hold_page_for,
            reason="no escalation rule fits; the default policy",
        )
    return None


class Page(Model):
    """What the ladder wants sent: one level's targets, in one of its rounds.

    Attributes:
        level: 1 for the first.
        round: 1 for the first climb; each repeat is one more.
    """

    level: int
    round: int
    targets: tuple[Target, ...]


class Ladder(Model):
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
        """The ladder after its due page was taken.

        A level's wait counts from when it really was notified, so that a late ladder (its worker
        was down) still gives every level its full time to answer.
        """
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

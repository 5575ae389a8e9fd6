"""Owns escalation policies, and the rules that choose an incident's severity and policy.

Rules are asked again as the incident goes on. What they chose only ever becomes louder: a severity
rises and never falls, and an incident moves to a rule that stands higher in the list, never lower.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Self

from pydantic import Field, model_validator

from holdfast.domain.frequency import Frequency, Tally, Threshold
from holdfast.domain.hours import Hours
from holdfast.domain.model import Duration, Model, Name
from holdfast.domain.report import Category
from holdfast.domain.severity import Severity
from holdfast.domain.target import Target

DEFAULT_POLICY = "default"


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
        acknowledgement_timeout: After so long an acknowledgement that led nowhere is taken back
            and escalation goes on; nothing never takes it back.
        remind_before: How long before that whoever has the incident is reminded; nothing does not.
        only_during: The hours, by name, in which it pages; outside of them pages wait.
    """

    levels: tuple[EscalationLevel, ...] = Field(min_length=1)
    repeat: int = Field(0, ge=0, le=100)
    hold_page_for: Duration = timedelta(minutes=2)
    acknowledgement_timeout: Duration = timedelta(hours=1)
    remind_before: Duration = timedelta(minutes=10)
    only_during: Name | None = None


class EscalationRule(Model):
    """Chooses a policy, raises the severity, or both: all that is given must hold.

    Attributes:
        policy: The policy that it chooses.
        raise_severity: The severity that it raises an incident to.
        severity: Any of these.
        category: Any of these.
        service: Any of these.
        during: Within these hours, by name.
        occurrences: The error was reported so often.
        incidents: The service had so many incidents, this one included.
        hold_page_for: In place of the policy's own.
    """

    policy: Name | None = None
    raise_severity: Severity | None = None
    severity: tuple[Severity, ...] = ()
    category: tuple[Category, ...] = ()
    service: tuple[Name, ...] = ()
    during: Name | None = None
    occurrences: Frequency | None = None
    incidents: Frequency | None = None
    hold_page_for: Duration | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.policy is None and self.raise_severity is None:
            raise ValueError("expected policy, raise_severity or both: it would change nothing")
        return self

    def may_fit(self, *, service: str, category: str) -> bool:
        """Whether it can ever fit an incident of a service and category."""
        fits_category = not self.category or category in self.category
        return fits_category and (not self.service or service in self.service)


class EscalationChoice(Model):
    """The policy that an incident follows, with the reason for it.

    Attributes:
        place: The chosen rule's place, 1 for the first; 0 when no rule but the default chose.
    """

    name: str
    policy: EscalationPolicy
    hold_page_for: Duration
    reason: str
    place: int = 0


class Circumstances(Model):
    """What rules ask about an incident as it is now.

    Attributes:
        occurrences: Tallies of its reports, by span.
        incidents: How many incidents its service had, by span; what is unknown fits no rule.
    """

    service: str
    category: str
    severity: Severity
    occurrences: tuple[Tally, ...] = ()
    incidents: Mapping[timedelta, int] = Field(default_factory=dict)


class Escalation(Model):
    """Whom an incident may come to page: the policies, and the rules that choose among them.

    Attributes:
        rules: From the top: the first that fits chooses the policy. The loudest go first.
        hours: The parts of the week that rules and policies speak of, by name.
    """

    policies: dict[Name, EscalationPolicy] = Field(default_factory=dict)
    rules: tuple[EscalationRule, ...] = ()
    hours: dict[Name, Hours] = Field(default_factory=dict)

    def pinned(self, *, service: str, category: str) -> "PinnedEscalation":
        """Only what an incident of a service and category can ever follow."""
        kept = [
            (place, rule)
            for place, rule in self._placed()
            if rule.may_fit(service=service, category=category)
        ]
        rules = tuple(rule for _, rule in kept)
        chosen = {DEFAULT_POLICY, *(rule.policy for rule in rules)}
        policies = {name: each for name, each in self.policies.items() if name in chosen}
        named = {rule.during for rule in rules}
        named |= {policy.only_during for policy in policies.values()}
        hours = {name: each for name, each in self.hours.items() if name in named}
        places = tuple(place for place, _ in kept)
        return PinnedEscalation(policies=policies, rules=rules, hours=hours, places=places)

    def _placed(self) -> Iterator[tuple[int, EscalationRule]]:
        """The rules, each with its place in the policy file, 1 for the first."""
        return enumerate(self.rules, start=1)

    def tallies(self) -> tuple[Tally, ...]:
        """Empty tallies of all spans that rules ask reports about."""
        return tuple(Tally(span=span) for span in _spans(rule.occurrences for rule in self.rules))

    def incident_spans(self) -> tuple[timedelta, ...]:
        """The spans that rules ask a service's incidents about."""
        return _spans(rule.incidents for rule in self.rules)

    def severity(self, now: datetime, circumstances: Circumstances) -> tuple[Severity, str | None]:
        """What an incident's severity is by now, and which rule raised it, if one did."""
        severity, reason = circumstances.severity, None
        for place, rule in self._placed():
            # From the top once: a rule further down sees what those above have raised.
            known = circumstances.model_copy(update={"severity": severity})
            raised = rule.raise_severity
            if raised and not severity.at_least(raised) and self._fits(rule, now, known):
                severity, reason = raised, f"escalation rule {place}{_because(rule)}"
        return severity, reason

    def choice(self, now: datetime, circumstances: Circumstances) -> EscalationChoice | None:
        """Choose the policy: the first rule that fits, else the policy named ``default``.

        Returns:
            The choice; None when no rule fits and there is no default: nobody will be paged.
        """
        for place, rule in self._placed():
            if rule.policy and self._fits(rule, now, circumstances):
                policy = self.policies[rule.policy]
                hold = policy.hold_page_for if rule.hold_page_for is None else rule.hold_page_for
                because = f"escalation rule {place} chose '{rule.policy}'{_because(rule)}"
                return EscalationChoice(
                    name=rule.policy,
                    policy=policy,
                    hold_page_for=hold,
                    reason=because,
                    place=place,
                )
        if default := self.policies.get(DEFAULT_POLICY):
            return EscalationChoice(
                name=DEFAULT_POLICY,
                policy=default,
                hold_page_for=default.hold_page_for,
                reason="no escalation rule fits; the default policy",
            )
        return None

    def _fits(self, rule: EscalationRule, now: datetime, known: Circumstances) -> bool:
        return (
            rule.may_fit(service=known.service, category=known.category)
            and (not rule.severity or known.severity in rule.severity)
            and (rule.during is None or self.hours[rule.during].contain(now))
            and _reached(rule.occurrences, known.occurrences, now)
            and _counted(rule.incidents, known.incidents)
        )


class PinnedEscalation(Escalation):
    """What an incident can ever follow, pinned at its start.

    Attributes:
        places: The rules' places in the policy file: reasons name them by those.
    """

    places: tuple[int, ...] = ()

    def _placed(self) -> Iterator[tuple[int, EscalationRule]]:
        return zip(self.places, self.rules, strict=True)


def is_louder(new: EscalationChoice, old: EscalationChoice | None) -> bool:
    """Whether a choice may take another's place: only a rule that stands higher in the list."""
    if old is None:
        return True
    if new.place == 0:
        return False
    return old.place == 0 or new.place < old.place


def _spans(thresholds: Iterable[Threshold | None]) -> tuple[timedelta, ...]:
    return tuple(sorted({each.within for each in thresholds if each}))


def _reached(threshold: Threshold | None, tallies: tuple[Tally, ...], now: datetime) -> bool:
    if threshold is None:
        return True
    found = next((each for each in tallies if each.span == threshold.within), None)
    return found is not None and found.total(now=now) >= threshold.count


def _counted(threshold: Threshold | None, counts: Mapping[timedelta, int]) -> bool:
    return threshold is None or counts.get(threshold.within, 0) >= threshold.count


def _because(rule: EscalationRule) -> str:
    """What a rule found out that is not to be seen in the incident itself."""
    found = []
    if rule.occurrences:
        found.append(f"reported {rule.occurrences}")
    if rule.incidents:
        found.append(f"incidents of the service: {rule.incidents}")
    if rule.during:
        found.append(f"it is {rule.during}")
    return f" ({', '.join(found)})" if found else ""

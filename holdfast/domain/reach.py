"""Owns the check that everybody whom the policy file names can be reached."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from holdfast.domain.addresses import wrong_address
from holdfast.domain.channel import Channel
from holdfast.domain.escalation import Escalation, EscalationPolicy, EscalationRule
from holdfast.domain.person import Contact, Person
from holdfast.domain.references import Dangling, Place, circles, missing
from holdfast.domain.schedule import Schedule
from holdfast.domain.target import Target


@dataclass(frozen=True)
class Reach:
    """All that decides whom a page reaches, to be checked."""

    escalation: Escalation
    people: Mapping[str, Person]
    schedules: Mapping[str, Schedule]
    channels: Mapping[str, Channel]

    def dangling(self) -> Iterator[Dangling]:
        """Whatever leads nowhere, by its place in the policy file."""
        for number, rule in enumerate(self.escalation.rules):
            yield from self._in_rule(("escalation", "rules", number), rule)
        for name, policy in self.escalation.policies.items():
            yield from self._in_policy(("escalation", "policies", name), policy)
        for name, person in self.people.items():
            yield from self._in_person(("people", name), person)
        for name, schedule in self.schedules.items():
            for way, person_name in schedule.people():
                yield from self._person(("schedules", name, *way), person_name)
        for name, channel in self.channels.items():
            yield from self._in_channel(("channels", name), channel)
        yield from _circular_fallbacks("people", self.people)
        yield from _circular_fallbacks("channels", self.channels)

    def _in_rule(self, place: Place, rule: EscalationRule) -> Iterator[Dangling]:
        known = self.escalation.policies
        if rule.policy and rule.policy not in known:
            yield Dangling((*place, "policy"), missing("policy", rule.policy, known))
        yield from self._hours((*place, "during"), rule.during)

    def _in_policy(self, place: Place, policy: EscalationPolicy) -> Iterator[Dangling]:
        yield from self._hours((*place, "only_during"), policy.only_during)
        if timedelta(0) < policy.acknowledgement_timeout <= policy.remind_before:
            problem = (
                "not longer than remind_before (10m where it is not given), so that nobody would "
                "be reminded; make it longer, or remind_before shorter: 0s reminds nobody"
            )
            yield Dangling((*place, "acknowledgement_timeout"), problem)
        for level_number, level in enumerate(policy.levels):
            for number, target in enumerate(level.targets):
                way = (*place, "levels", level_number, "targets", number)
                yield from self._in_target(way, target)

    def _in_target(self, place: Place, target: Target) -> Iterator[Dangling]:
        if target.person:
            yield from self._person((*place, "person"), target.person)
        if target.schedule and target.schedule not in self.schedules:
            problem = missing("schedule", target.schedule, self.schedules)
            yield Dangling((*place, "schedule"), problem)
        if target.contact:
            yield from self._contact(place, target.contact)

    def _in_person(self, place: Place, person: Person) -> Iterator[Dangling]:
        for number, contact in enumerate(person.contacts):
            yield from self._contact((*place, "contacts", number), contact)
        if person.fallback:
            yield from self._person((*place, "fallback"), person.fallback)

    def _in_channel(self, place: Place, channel: Channel) -> Iterator[Dangling]:
        own = getattr(channel, "to", None)  # some kinds have none
        if own and (problem := wrong_address(own, channel)):
            yield Dangling((*place, "to"), problem)
        if channel.fallback is None:
            return
        other = self.channels.get(channel.fallback)
        if other is None:
            problem = missing("channel", channel.fallback, self.channels)
            yield Dangling((*place, "fallback"), problem)
        elif wrong_address(None, other):
            problem = (
                f"'{channel.fallback}' has no address of its own to take over with; give it one"
            )
            yield Dangling((*place, "fallback"), problem)

    def _contact(self, place: Place, contact: Contact) -> Iterator[Dangling]:
        channel = self.channels.get(contact.channel)
        if channel is None:
            problem = missing("channel", contact.channel, self.channels)
            yield Dangling((*place, "channel"), problem)
        elif wrong := wrong_address(contact.to, channel):
            yield Dangling((*place, "to"), wrong)

    def _person(self, place: Place, name: str) -> Iterator[Dangling]:
        if name not in self.people:
            yield Dangling(place, missing("person", name, self.people))

    def _hours(self, place: Place, name: str | None) -> Iterator[Dangling]:
        if name and name not in self.escalation.hours:
            yield Dangling(place, missing("hours", name, self.escalation.hours))


def _circular_fallbacks(
    section: str, known: Mapping[str, Person] | Mapping[str, Channel]
) -> Iterator[Dangling]:
    ways = {name: [each.fallback] if each.fallback else [] for name, each in known.items()}
    for circle in circles(ways):
        told = f"the fallbacks go round in a circle: {' -> '.join(circle)}; one has to be the last"
        if circle == (circle[0],) * 2:
            told = f"{circle[0]} is its own fallback"
        yield Dangling((section, circle[0], "fallback"), told)

"""Owns the route: where a target is reached, one contact after the other, by the present policy.

What the policy no longer has, since a reload took it away, is said and not passed over in silence.
"""

from collections.abc import Callable, Iterator
from datetime import UTC

from holdfast.domain.channel import ChannelKind
from holdfast.domain.directory import display_name
from holdfast.domain.notification import Hop
from holdfast.domain.page import Recipient
from holdfast.domain.person import Contact
from holdfast.domain.policy import Policy
from holdfast.domain.schedule import Shift
from holdfast.domain.target import Target


def recipient(
    target: Target, policy: Policy, *, shift: Shift | None = None, trouble: str = ""
) -> Recipient:
    """Where a target is reached.

    Args:
        target: A person, a schedule or an address on a channel.
        policy: The present one; it may lack what the target names.
        shift: For a schedule: whose turn it is.
        trouble: For a schedule: why it can't be told whose turn it is.
    """
    if target.person:
        who = display_name(policy.people, target.person)
        return _to_person(target, policy, target.person, who=who)
    if target.contact:
        return _to_channel(target, policy, target.contact)
    return _to_schedule(target, policy, target.schedule or "", shift=shift, trouble=trouble)


def _to_person(target: Target, policy: Policy, key: str, *, who: str) -> Recipient:
    people = list(_people(policy, key))
    contacts = [
        (each, contact)
        for each in people
        if each in policy.people
        for contact in policy.people[each].contacts
    ]
    left_out = [_gone("person", each) for each in people if each not in policy.people]
    hops: dict[Contact, Hop] = {}
    for each, contact in contacts:
        if contact.channel in policy.channels:
            # Who stands in may have the same; one try there is enough.
            hops.setdefault(contact, _hop(policy, contact, person=each))
        else:
            whose = display_name(policy.people, each)
            left_out.append(f"a contact of {whose}: {_gone('channel', contact.channel)}")
    return Recipient(
        target=target,
        who=who,
        person=key,
        hops=tuple(hops.values()),
        problem="; ".join(left_out),
    )


def _to_schedule(
    target: Target, policy: Policy, name: str, *, shift: Shift | None, trouble: str
) -> Recipient:
    if name not in policy.schedules:
        return Recipient(target=target, who=str(target), problem=_gone("schedule", name))
    if shift and shift.person:
        who = f"{display_name(policy.people, shift.person)} ({target})"
        return _to_person(target, policy, shift.person, who=who)
    return Recipient(target=target, who=str(target), problem=trouble or _nobody(name, shift))


def _to_channel(target: Target, policy: Policy, contact: Contact) -> Recipient:
    hops: list[Hop] = []
    left_out: list[str] = []
    for each in _channels(policy, contact.channel):
        if each in policy.channels:
            # Another channel has an address of its own, and nothing to do with this one's.
            there = contact if each == contact.channel else Contact(channel=each)
            hops.append(_hop(policy, there))
        else:
            left_out.append(_gone("channel", each))
    return Recipient(target=target, who=str(target), hops=tuple(hops), problem="; ".join(left_out))


def _people(policy: Policy, key: str) -> Iterator[str]:
    """A person, and who stands in for them, and for those."""
    return _chain(key, lambda each: policy.people[each].fallback if each in policy.people else None)


def _channels(policy: Policy, name: str) -> Iterator[str]:
    """A channel, and what takes over for it, and for that."""
    return _chain(
        name, lambda each: policy.channels[each].fallback if each in policy.channels else None
    )


def _chain(first: str, following: Callable[[str], str | None]) -> Iterator[str]:
    """Each name once: a circle, which the policy file's check refuses, must not hang here."""
    name: str | None = first
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        yield name
        name = following(name)


def _hop(policy: Policy, contact: Contact, *, person: str | None = None) -> Hop:
    channel = policy.channels[contact.channel]
    kind = ChannelKind(channel.kind)
    return Hop(
        contact=contact,
        person=person,
        edits=kind.edits,
        mirrors=kind.mirrors,
        deadline=channel.deadline,
    )


def _gone(noun: str, name: str) -> str:
    return f"the policy file has no {noun} '{name}' any more"


def _nobody(name: str, shift: Shift | None) -> str:
    said = f"nobody is on call in the schedule '{name}'"
    if shift and shift.ends_at:
        said += f" until {shift.ends_at.astimezone(UTC):%H:%M UTC on %Y-%m-%d}"
    return f"{said} ({shift.source})" if shift and shift.source else said

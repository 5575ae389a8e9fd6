"""Owns the directory: who is behind an address, for whatever comes back from a channel."""

from collections.abc import Mapping

from holdfast.domain.channel import Channel, ChannelKind
from holdfast.domain.custody import Actor, Via
from holdfast.domain.person import Person
from holdfast.domain.policy import Policy


def find_person(policy: Policy, kind: ChannelKind, address: str) -> str | None:
    """The key of the person who has an address on some channel of a kind; None for nobody."""
    wanted = address.casefold()
    for key, person in policy.people.items():
        for contact in person.contacts:
            channel = policy.channels.get(contact.channel)
            same_kind = channel is not None and channel.kind == kind.value
            if same_kind and contact.to and contact.to.casefold() == wanted:
                return key
    return None


def find_named(policy: Policy, name: str) -> str | None:
    """The key of the person who goes by a name or a key; None for nobody."""
    wanted = name.casefold()
    for key in policy.people:
        if wanted in {key.casefold(), display_name(policy.people, key).casefold()}:
            return key
    return None


def actor(policy: Policy, key: str, *, via: Via) -> Actor:
    """A person of the policy file as somebody who acts."""
    return Actor(name=display_name(policy.people, key), person=key, via=via)


def display_name(people: Mapping[str, Person], key: str) -> str:
    """A person's name as messages show it."""
    person = people.get(key)
    return (person.name if person else None) or key


def channels_of(policy: Policy, kind: ChannelKind) -> dict[str, Channel]:
    """All channels of a kind, by name."""
    return {name: each for name, each in policy.channels.items() if each.kind == kind.value}

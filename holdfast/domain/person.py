"""Owns the people who are paged: over what each is reached, in which order, and who stands in."""

from pydantic import Field

from holdfast.domain.model import Model, Name


class Contact(Model):
    """One address on one channel; where a message goes in the end.

    Attributes:
        channel: One of the policy file's channels.
        to: The address there; None for the channel's own.
    """

    channel: Name
    to: str | None = Field(None, min_length=1, max_length=2000)

    def __str__(self) -> str:
        return f"{self.channel} ({self.to})" if self.to else self.channel


class Person(Model):
    """Somebody who can be paged.

    Attributes:
        name: As messages show it; the key in the policy file when not given.
        contacts: In order of preference: each is the fallback of the one before.
        fallback: The person who is told when no contact works.
    """

    name: str | None = Field(None, min_length=1, max_length=200)
    contacts: tuple[Contact, ...] = Field(min_length=1)
    fallback: Name | None = None

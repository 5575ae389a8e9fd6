"""Owns the target: whom a level of an escalation policy notifies."""

from typing import Self

from pydantic import Field, model_validator

from holdfast.domain.model import Model, Name
from holdfast.domain.person import Contact


class Target(Model):
    """A person, whoever a schedule has on call, or an address on a channel; one of the three.

    Attributes:
        person: One of the policy file's people.
        schedule: One of its schedules: whoever is on call when the page is sent.
        channel: One of its channels: a Slack channel, a webhook, a PagerDuty service, ...
        to: The address on the channel; the channel's own when not given. Several addresses of an
            email channel are separated by commas.
        mandatory: Whether the next level is told when this target can't be reached.
    """

    channel: Name | None = None
    person: Name | None = None
    schedule: Name | None = None
    to: str | None = Field(None, min_length=1, max_length=2000)
    mandatory: bool = True

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [each for each in (self.channel, self.person, self.schedule) if each]
        if len(given) != 1:
            raise ValueError("expected one of person, schedule and channel")
        if self.to and not self.channel:
            raise ValueError("to: only a channel takes an address; a person's are in people")
        return self

    @property
    def contact(self) -> Contact | None:
        """The address of a target that is one itself."""
        return Contact(channel=self.channel, to=self.to) if self.channel else None

    def __str__(self) -> str:
        if self.person:
            return self.person
        return f"on call: {self.schedule}" if self.schedule else str(self.contact)

"""Owns what Slack sends: the interaction behind a click, and the typed command."""

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field, ValidationError

from activities.channels.slack_actions import PAGE_ACTIONS, SEPARATOR, SlackAction
from holdfast.domain.model import Duration, Model
from holdfast.errors import InvalidInput

_BLOCK_ACTIONS: Final = "block_actions"
_OURS: Final = frozenset(action.value for action in SlackAction)


class Click(Model):
    """One click on what a message offers.

    Attributes:
        incident_id: Nothing but its form may go into a query of Temporal's list.
        snooze: For how long, if it asks for that.
        shows: Whether the message below which it was made shows what comes of it.
    """

    action: SlackAction
    incident_id: str = Field(pattern=r"^[0-9A-Za-z-]{1,64}$")
    snooze: Duration | None = None
    shows: bool


class _User(Model):
    id: str = Field(min_length=1, max_length=50)


class _Option(Model):
    value: str


class _Element(Model):
    action_id: str
    block_id: str = ""
    value: str = ""
    selected_option: _Option | None = None

    def click(self) -> Click:
        value = self.selected_option.value if self.selected_option else self.value
        incident_id, _, duration = value.partition(SEPARATOR)
        return Click.model_validate(
            {
                "action": self.action_id,
                "incident_id": incident_id,
                "snooze": duration or None,
                "shows": self.block_id == PAGE_ACTIONS,
            }
        )


class Interaction(Model):
    """What somebody did in a message.

    Attributes:
        response_url: Where whoever did it can be answered privately, for half an hour.
        clicks: What it asks of Holdfast; nothing for what other apps' messages offer.
    """

    user_id: str
    response_url: str | None
    clicks: tuple[Click, ...]

    @classmethod
    def read(cls, payload: str | Mapping[str, Any]) -> Self:
        """The interaction that Slack describes, as JSON over HTTP or parsed over Socket Mode.

        Raises:
            InvalidInput: If it is none that Slack documents, or a button of ours holds no id.
        """
        try:
            if isinstance(payload, str):
                sent = _Payload.model_validate_json(payload)
            else:
                sent = _Payload.model_validate(payload)
            return cls(
                user_id=sent.user.id,
                response_url=sent.response_url,
                clicks=tuple(each.click() for each in sent.ours),
            )
        except ValidationError as error:
            raise _unreadable("payload", error) from error


class _Payload(Model):
    type: str
    user: _User
    response_url: str | None = None
    actions: tuple[_Element, ...] = ()

    @property
    def ours(self) -> list[_Element]:
        """The elements of our messages; a link that was followed is no click of ours."""
        if self.type != _BLOCK_ACTIONS:
            return []
        return [each for each in self.actions if each.action_id in _OURS]


class Command(Model):
    """What somebody typed after ``/holdfast``."""

    user_id: str = Field(min_length=1, max_length=50)
    text: str = ""
    response_url: str | None = None

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> Self:
        """The command that Slack describes.

        Raises:
            InvalidInput: If it is none that Slack documents.
        """
        try:
            return cls.model_validate(form)
        except ValidationError as error:
            raise _unreadable("the form", error) from error


def _unreadable(what: str, error: ValidationError) -> InvalidInput:
    first = error.errors(include_input=False, include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    return InvalidInput(f"{what} is not what Slack documents: {path}: {first['msg']}", field=path)

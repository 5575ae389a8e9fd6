"""Owns what carrying out an action gives back, done or not."""

from dataclasses import dataclass, field

from pydantic import JsonValue

from holdfast.errors import ActionFailed

Detail = dict[str, JsonValue]


@dataclass(frozen=True)
class Done:
    """An action that did what it should.

    Attributes:
        summary: What was seen, as a sentence without its full stop.
        detail: The same for programs, bounded.
    """

    summary: str
    detail: Detail = field(default_factory=dict)


class NotDone(ActionFailed):
    """An action that was tried and did not do what it should; the message is for people.

    Args:
        message: A sentence without its full stop.
        detail: What is known of it, for programs, bounded.
    """

    def __init__(self, message: str, *, detail: Detail | None = None) -> None:
        super().__init__(message)
        self.detail = detail or {}

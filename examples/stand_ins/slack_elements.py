"""Owns what Slack asks of texts and of what can be clicked (docs.slack.dev/reference/block-kit)."""

from collections.abc import Iterator
from typing import Any

_ACTION_ID = 255
_LABEL = 75
_VALUE = 2000
_URL = 3000
_PLACEHOLDER = 150
_OVERFLOW_OPTIONS = 5
_MENU_OPTIONS = 100
_OPTION_VALUE = 150
_CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
_BUTTON = frozenset(
    {"type", "text", "action_id", "value", "url", "style", "confirm", "accessibility_label"}
)

Element = dict[str, Any]


def element_problems(element: Element) -> Iterator[str]:
    """What is wrong with a button or a menu."""
    yield from length(str(element.get("action_id", "-")), _ACTION_ID)
    if "confirm" in element:
        yield from _confirm_problems(element["confirm"])
    match element:
        case {"type": "button", "text": {"type": "plain_text"} as text, **others}:
            yield from text_problems(text, _LABEL)
            yield from _button_problems(others)
        case {"type": "overflow", "options": list(options)}:
            yield from _option_problems(options, _OVERFLOW_OPTIONS)
        case {"type": "static_select", "placeholder": placeholder, "options": list(options)}:
            yield from text_problems(placeholder, _PLACEHOLDER)
            yield from _option_problems(options, _MENU_OPTIONS)
        case _:
            yield f"unsupported element or missing field: {element.get('type')}"


def _button_problems(others: Element) -> Iterator[str]:
    for name in others.keys() - _BUTTON:
        yield f"invalid additional property: {name}"
    if "value" in others:
        yield from length(others["value"], _VALUE)
    if "url" in others:
        yield from length(others["url"], _URL)
    if others.get("style", "primary") not in {"primary", "danger"}:
        yield f"style: expected primary or danger, not {others['style']}"


def _option_problems(options: list[Element], limit: int) -> Iterator[str]:
    yield from many(options, limit)
    for option in options:
        yield from text_problems(option.get("text"), _LABEL)
        yield from length(str(option.get("value", "")), _OPTION_VALUE)


def _confirm_problems(confirm: Element) -> Iterator[str]:
    for name, limit in _CONFIRM.items():
        if name not in confirm:
            yield f"missing required field: confirm.{name}"
        else:
            yield from text_problems(confirm[name], limit)


def text_problems(text: Any, limit: int) -> Iterator[str]:
    """What is wrong with a text object."""
    match text:
        case {"type": "mrkdwn" | "plain_text" as kind, "text": str(words), **others}:
            yield from length(words, limit)
            allowed = {"verbatim"} if kind == "mrkdwn" else {"emoji"}
            for name in others.keys() - allowed:
                yield f"invalid additional property: {name}"
        case _:
            yield "not a text object"


def length(text: str, limit: int) -> Iterator[str]:
    """Whether a text is there, and not too long."""
    if not text:
        yield "must be more than 0 characters"
    if len(text) > limit:
        yield f"must be less than {limit + 1} characters"


def many(items: list[Any], limit: int) -> Iterator[str]:
    """Whether there is something, and not too much."""
    if not items:
        yield "must have at least 1 item"
    if len(items) > limit:
        yield f"no more than {limit} items allowed"

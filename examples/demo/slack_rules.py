"""Owns what Slack's Web API asks of a message (docs.slack.dev/reference/block-kit/blocks)."""

from collections.abc import Iterator, Mapping
from typing import Any

_BLOCKS = 50
_HEADER = 150
_TEXT = 3000
_FIELDS = 10
_FIELD = 2000
_ELEMENTS = 10


class Refused(Exception):
    """What Slack answers with ``ok: false``.

    Args:
        error: Slack's word for it.
        problems: What exactly is wrong, where Slack says so.
    """

    def __init__(self, error: str, *problems: str) -> None:
        super().__init__(error, *problems)
        self.error = error
        self.problems = problems


def check_message(sent: Mapping[str, Any]) -> None:
    """Refuse a message that Slack would not take.

    Raises:
        Refused: With the error that Slack gives.
    """
    if not isinstance(sent.get("channel"), str):
        raise Refused("channel_not_found")
    if not isinstance(sent.get("text"), str) or not sent["text"].strip():
        raise Refused("no_text")
    if problems := list(_problems(sent.get("blocks", []))):
        raise Refused("invalid_blocks", *problems)
    metadata = sent.get("metadata", {"event_type": "", "event_payload": {}})
    if not isinstance(metadata.get("event_type"), str):
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")


def _problems(blocks: list[dict[str, Any]]) -> Iterator[str]:
    if len(blocks) > _BLOCKS:
        yield f"no more than {_BLOCKS} items allowed [json-pointer:/blocks]"
    for number, block in enumerate(blocks):
        for problem in _block_problems(block):
            yield f"{problem} [json-pointer:/blocks/{number}]"


def _block_problems(block: dict[str, Any]) -> Iterator[str]:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
            yield from _length(text, _HEADER)
        case {"type": "section", "fields": list(fields)}:
            yield from _many(fields, _FIELDS)
            for each in fields:
                yield from _text_problems(each, _FIELD)
        case {"type": "section", "text": text}:
            yield from _text_problems(text, _TEXT)
        case {"type": "context", "elements": list(elements)}:
            yield from _many(elements, _ELEMENTS)
            for each in elements:
                yield from _text_problems(each, _TEXT)
        case {"type": "divider"}:
            pass
        case _:
            yield f"unsupported type or missing field: {block.get('type')}"


def _text_problems(text: Any, limit: int) -> Iterator[str]:
    match text:
        case {"type": "mrkdwn" | "plain_text" as kind, "text": str(words), **others}:
            yield from _length(words, limit)
            allowed = {"verbatim"} if kind == "mrkdwn" else {"emoji"}
            for name in others.keys() - allowed:
                yield f"invalid additional property: {name}"
        case _:
            yield "not a text object"


def _length(text: str, limit: int) -> Iterator[str]:
    if not text:
        yield "must be more than 0 characters"
    if len(text) > limit:
        yield f"must be less than {limit + 1} characters"


def _many(items: list[Any], limit: int) -> Iterator[str]:
    if not items:
        yield "must have at least 1 item"
    if len(items) > limit:
        yield f"no more than {limit} items allowed"

"""Owns what Slack's Web API asks of a message (docs.slack.dev/reference/block-kit)."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from examples.stand_ins.slack_elements import Element, element_problems, length, many, text_problems

_TEXT = 40_000
_BLOCKS = 50
_BLOCK_ID = 255
_HEADER = 150
_SECTION = 3000
_FIELDS = 10
_FIELD = 2000
_CONTEXT = 10
_ACTIONS = 25


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
    check_content(sent)
    metadata = sent.get("metadata", {"event_type": "", "event_payload": {}})
    if not isinstance(metadata.get("event_type"), str):
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")


def check_content(sent: Mapping[str, Any]) -> None:
    """Refuse text and blocks that Slack would not show, wherever they are sent.

    Raises:
        Refused: With the error that Slack gives.
    """
    if not isinstance(sent.get("text"), str) or not sent["text"].strip():
        raise Refused("no_text")
    if len(sent["text"]) > _TEXT:
        raise Refused("msg_too_long")
    if problems := list(_problems(sent.get("blocks", []))):
        raise Refused("invalid_blocks", *problems)


def elements(blocks: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Element]]:
    """Everything in blocks that can be clicked, each with its block."""
    for block in blocks:
        if block.get("type") == "actions":
            yield from ((block, each) for each in block.get("elements", []))
        if "accessory" in block:
            yield block, block["accessory"]


def _problems(blocks: list[dict[str, Any]]) -> Iterator[str]:
    if len(blocks) > _BLOCKS:
        yield f"no more than {_BLOCKS} items allowed [json-pointer:/blocks]"
    for number, block in enumerate(blocks):
        for problem in chain(_block_problems(block), length(block.get("block_id", "-"), _BLOCK_ID)):
            yield f"{problem} [json-pointer:/blocks/{number}]"
    named = [block["block_id"] for block in blocks if "block_id" in block]
    yield from _repeated("block_id", named)


def _repeated(what: str, names: list[str]) -> Iterator[str]:
    for name in {each for each in names if names.count(each) > 1}:
        yield f'{what} "{name}" already exists'


def _block_problems(block: dict[str, Any]) -> Iterator[str]:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
            yield from length(text, _HEADER)
        case {"type": "section"}:
            yield from _section_problems(block)
        case {"type": "context", "elements": list(shown)}:
            yield from many(shown, _CONTEXT)
            for each in shown:
                yield from text_problems(each, _SECTION)
        case {"type": "actions", "elements": list(clicked)}:
            yield from many(clicked, _ACTIONS)
            for each in clicked:
                yield from element_problems(each)
            # Elsewhere in the message there may be the same one.
            yield from _repeated("action_id", [str(each.get("action_id")) for each in clicked])
        case {"type": "divider"}:
            pass
        case _:
            yield f"unsupported type or missing field: {block.get('type')}"


def _section_problems(block: dict[str, Any]) -> Iterator[str]:
    if "text" not in block and "fields" not in block:
        yield "missing required field: text or fields"
    if "text" in block:
        yield from text_problems(block["text"], _SECTION)
    if "fields" in block:
        yield from many(block["fields"], _FIELDS)
        for each in block["fields"]:
            yield from text_problems(each, _FIELD)
    if "accessory" in block:
        yield from element_problems(block["accessory"])

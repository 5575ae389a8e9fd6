"""Owns the addresses on channels: which kinds take one, and what it has to look like."""

import re
from typing import assert_never

from holdfast.domain.channel import (
    AppriseChannel,
    Channel,
    EmailChannel,
    PagerDutyChannel,
    SlackChannel,
    SmsChannel,
    WebhookChannel,
)

# E.164: a plus, the country code, fifteen digits at the most.
_PHONE_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
# Only what no address can be is refused: whether it is somebody's, the mail server knows.
_MAILBOX = re.compile(r"[^@\s<>,;]+@[^@\s<>,;.]+(\.[^@\s<>,;.]+)*")


def wrong_address(to: str | None, channel: Channel) -> str | None:
    """Say what is wrong with an address on a channel; None if nothing is.

    Args:
        to: The address; None for the channel's own.
        channel: The channel.
    """
    match channel:
        case WebhookChannel() | PagerDutyChannel() | AppriseChannel():
            return f"a channel of kind {channel.kind} takes no address; remove it" if to else None
        case SlackChannel():
            return None if to or channel.to else _lacking('"#incidents" (a bare # is a comment)')
        case EmailChannel():
            if to:
                return _wrong_mailboxes(to)
            return None if channel.to else _lacking("ada@example.com")
        case SmsChannel():
            if to:
                return _wrong_phone_number(to)
            return None if channel.to else _lacking('"+15551234567"')
        case _:
            assert_never(channel)


def _lacking(example: str) -> str:
    return f"missing, here and in the channel; give an address such as {example}"


def _wrong_mailboxes(to: str) -> str | None:
    for each in (part.strip() for part in to.split(",")):
        if not _MAILBOX.fullmatch(each):
            expected = "an address such as ada@example.com, or several with commas between them"
            return f"expected {expected}, got {each!r}"
    return None


def _wrong_phone_number(to: str) -> str | None:
    if _PHONE_NUMBER.fullmatch(to):
        return None
    return f"expected a phone number with its country code, such as +15551234567, got {to!r}"

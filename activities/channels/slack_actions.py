"""Owns what can be clicked in a message in Slack, and by what a click is known when it comes back.

``api.slack`` reads what is made here: a message that was posted years ago must stay clickable.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, assert_never

from activities.channels.slack_blocks import Block, plain
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.notification import Headline

# The blocks' ids. A click below a page shows in the page; one elsewhere has to be answered.
PAGE_ACTIONS: Final = "holdfast.actions"
REMINDER_ACTIONS: Final = "holdfast.reminder"

# Between the incident's id and the duration in a snooze's value.
SEPARATOR: Final = "|"
# By how they stand in the value, which ``parse_duration`` reads.
_SNOOZES: Final = {"30m": "30 minutes", "1h": "1 hour", "4h": "4 hours", "8h": "8 hours"}
# What Slack allows on a button and on an option.
_LABEL: Final = 75


class SlackAction(StrEnum):
    """What a click asks for; the values are the elements' ``action_id``."""

    ACKNOWLEDGE = "holdfast.acknowledge"
    UNACKNOWLEDGE = "holdfast.unacknowledge"
    RESOLVE = "holdfast.resolve"
    ESCALATE = "holdfast.escalate"
    SNOOZE = "holdfast.snooze"


def page_actions(headline: Headline) -> list[Block]:
    """What can be done about an incident as it stands; nothing once it is over."""
    match headline.status:
        case IncidentStatus.RESOLVED:
            return []
        case IncidentStatus.ACKNOWLEDGED:
            offered = [
                SlackAction.RESOLVE,
                SlackAction.SNOOZE,
                SlackAction.UNACKNOWLEDGE,
                SlackAction.ESCALATE,
            ]
        case _:
            offered = [
                SlackAction.ACKNOWLEDGE,
                SlackAction.RESOLVE,
                SlackAction.ESCALATE,
                SlackAction.SNOOZE,
            ]
    return [_actions(PAGE_ACTIONS, offered, headline.incident_id)]


def reminder_actions(headline: Headline) -> list[Block]:
    """What whoever has an incident can do about it."""
    offered = [SlackAction.RESOLVE, SlackAction.SNOOZE, SlackAction.ESCALATE]
    return [_actions(REMINDER_ACTIONS, offered, headline.incident_id)]


def acknowledge_button(incident_id: str) -> Block:
    """The button beside an incident for which another's page speaks too."""
    return _element(SlackAction.ACKNOWLEDGE, incident_id)


def _actions(block_id: str, offered: Sequence[SlackAction], incident_id: str) -> Block:
    elements = [_element(each, incident_id) for each in offered]
    return {"type": "actions", "block_id": block_id, "elements": elements}


def _element(action: SlackAction, incident_id: str) -> Block:
    match action:
        case SlackAction.ACKNOWLEDGE:
            return _button(action, "Acknowledge", incident_id) | {"style": "primary"}
        case SlackAction.UNACKNOWLEDGE:
            return _button(action, "Un-acknowledge", incident_id)
        case SlackAction.RESOLVE:
            return _button(action, "Resolve", incident_id)
        case SlackAction.ESCALATE:
            return _button(action, "Escalate", incident_id)
        case SlackAction.SNOOZE:
            return _snooze(incident_id)
        case _:
            assert_never(action)


def _button(action: SlackAction, label: str, incident_id: str) -> Block:
    return {
        "type": "button",
        "action_id": action.value,
        "text": plain(label, limit=_LABEL),
        "value": incident_id,
    }


def _snooze(incident_id: str) -> Block:
    return {
        "type": "static_select",
        "action_id": SlackAction.SNOOZE.value,
        "placeholder": plain("Snooze", limit=_LABEL),
        "options": [
            {
                "text": plain(label, limit=_LABEL),
                "value": f"{incident_id}{SEPARATOR}{duration}",
            }
            for duration, label in _SNOOZES.items()
        ],
    }

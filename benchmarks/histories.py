"""Owns the reading of workflow histories: when the first task was done, and what a path costs."""

from collections import Counter
from collections.abc import Iterable

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

Event = HistoryEvent

_NANOSECONDS = 1e9


async def events(client: Client, workflow_id: str) -> list[Event]:
    """All events of a workflow's latest run."""
    handle = client.get_workflow_handle(workflow_id)
    return [event async for event in handle.fetch_history_events()]


def kind(event: Event) -> str:
    """An event's type as the Temporal UI writes it, such as ``WORKFLOW_TASK_COMPLETED``."""
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def counts(history: Iterable[Event]) -> Counter[str]:
    """How many events there are of each type."""
    return Counter(map(kind, history))


def moment(history: Iterable[Event], of: str) -> float:
    """When the first event of a type happened by the server's clock, in seconds since the epoch."""
    event = next(event for event in history if kind(event) == of)
    return event.event_time.ToNanoseconds() / _NANOSECONDS


def locals_of_first_task(history: Iterable[Event]) -> int:
    """How many local activities ran before the first workflow task was done."""
    history = list(history)
    done = next(event for event in history if kind(event) == "WORKFLOW_TASK_COMPLETED")
    return sum(
        event.marker_recorded_event_attributes.workflow_task_completed_event_id == done.event_id
        for event in history
        if kind(event) == "MARKER_RECORDED"
    )

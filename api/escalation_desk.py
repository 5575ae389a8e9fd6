"""Owns the explanation of an escalation: what is on its way is asked of Temporal itself."""

from datetime import UTC, datetime
from typing import Final

import structlog
from pydantic import AwareDatetime
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client

from api.temporal import QUERY_PATIENCE, asking
from holdfast.domain.model import Model
from holdfast.errors import NotFound, Unavailable

log = structlog.get_logger(__name__)

_STATES: Final = {
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED: "being sent",
    PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED: "waits for its next try",
    PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED: "being given up",
}


class Underway(Model):
    """A notification that is on its way to its channel.

    Attributes:
        state: What is being done.
        tries: How many there were, the present one included.
        next_try_at: When the next one is.
        problem: What went wrong in the last one.
    """

    state: str
    tries: int
    next_try_at: AwareDatetime | None = None
    problem: str | None = None


async def underway(client: Client, workflow_id: str) -> dict[str, Underway]:
    """The notifications of an incident that are on their way, by their id.

    Nothing is known of them while Temporal can't be reached.
    """
    handle = client.get_workflow_handle(workflow_id)
    try:
        with asking(workflow_id):
            description = await handle.describe(rpc_timeout=QUERY_PATIENCE)
    except (NotFound, Unavailable) as error:
        log.info("what is on its way is not known", workflow=workflow_id, why=str(error))
        return {}
    pending = description.raw_description.pending_activities
    return {
        each.activity_id: _underway(each)
        for each in pending
        if each.activity_type.name == "send_notification"
    }


def _underway(pending: PendingActivityInfo) -> Underway:
    waits = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    has_time = waits and pending.HasField("scheduled_time")
    next_try = pending.scheduled_time.ToDatetime(UTC) if has_time else None
    failed = pending.HasField("last_failure")
    return Underway(
        state=_STATES.get(pending.state, "on its way"),
        tries=pending.attempt,
        next_try_at=next_try if next_try and next_try > datetime.now(UTC) else None,
        problem=pending.last_failure.message if failed else None,
    )

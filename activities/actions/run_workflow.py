"""Owns the carrying out of actions that are the user's own Temporal workflows, in any language."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.service import RPCError, RPCStatusCode

from activities.actions.outcome import Detail, Done, NotDone
from activities.excerpt import Head, in_a_sentence
from activities.outbound import seconds
from holdfast.domain.action import WorkflowAction

_KEPT = 2048
# Temporal ends the run when its time is over; this is for when Temporal does not say so.
_MARGIN = timedelta(seconds=5)
# Temporal takes no timeout at all for one without end.
_SHORTEST = timedelta(milliseconds=1)

Handle = WorkflowHandle[object, RawValue]


@dataclass(frozen=True)
class WorkflowActions:
    """Runs the user's workflows: JSON in, and any result out."""

    client: Client

    async def perform(self, action: WorkflowAction, *, key: str, within: timedelta) -> Done:
        """Run an action's workflow to its end, or find the run that this key started before.

        The run's id is ``action:{key}``, so that a key has one run, now or ever. A workflow
        without an ``input`` is started without arguments.

        Raises:
            NotDone: If the workflow failed, was ended by somebody, or took too long.
            RPCError: If Temporal cannot be asked.
        """
        within = max(min(action.timeout, within), _SHORTEST)
        what = f"workflow {action.workflow}"
        detail: Detail = {
            "kind": "run_workflow",
            "workflow": action.workflow,
            "task_queue": action.task_queue,
            "workflow_id": workflow_id(key),
        }
        late = (
            f"{what} gave no result within {seconds(within)}; see that a worker serves the task "
            f"queue {action.task_queue}"
        )
        try:
            async with asyncio.timeout((within + _MARGIN).total_seconds()):
                handle = await self._run(action, key=key, within=within, detail=detail)
                result = await handle.result()
        except WorkflowFailureError as error:
            if isinstance(error.cause, TemporalTimeoutError):
                raise NotDone(late, detail=detail) from error
            raise NotDone(f"{what} failed: {_root(error.cause)}", detail=detail) from error
        except TimeoutError as error:
            raise NotDone(late, detail=detail) from error
        except asyncio.CancelledError:
            await self._cancel(key)
            raise
        return Done(f"{what} completed", detail | {"result": _legible(result)})

    async def _run(
        self, action: WorkflowAction, *, key: str, within: timedelta, detail: Detail
    ) -> Handle:
        try:
            return await self.client.start_workflow(
                action.workflow,
                args=[] if action.input is None else [action.input],
                id=workflow_id(key),
                task_queue=action.task_queue,
                result_type=RawValue,
                execution_timeout=within,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"Holdfast's recovery action {key}",
            )
        except WorkflowAlreadyStartedError as error:
            # It ran to its end while nobody here was listening; its result is the answer.
            return self.client.get_workflow_handle(
                error.workflow_id, run_id=error.run_id, result_type=RawValue
            )
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                reason = f"Temporal refuses to start workflow {action.workflow}: {error.message}"
                raise NotDone(reason, detail=detail) from error
            raise

    async def _cancel(self, key: str) -> None:
        """Cancel the user's workflow, should the recovery itself have been cancelled.

        When this worker is merely stopping, the next one waits for the same run.
        """
        details = activity.cancellation_details() if activity.in_activity() else None
        if details and details.cancel_requested:
            # It may not have been started yet, or be over: then there is nothing to cancel.
            with suppress(RPCError):
                await self.client.get_workflow_handle(workflow_id(key)).cancel()


def workflow_id(key: str) -> str:
    """The id of the run that carries out the action with this key."""
    return f"action:{key}"


def _root(error: BaseException) -> str:
    """What the user's code said: Temporal wraps it in the failure of each activity and child."""
    while isinstance(error, FailureError) and error.cause:
        error = error.cause
    return in_a_sentence(str(error)) or type(error).__name__


def _legible(result: RawValue | None) -> str | None:
    """The result's JSON as text; of anything but JSON only what it is."""
    if result is None:
        return None
    encoding = result.payload.metadata["encoding"].decode()
    if not encoding.startswith("json/"):
        return None if encoding == "binary/null" else f"({encoding})"
    head = Head(_KEPT)
    head.add(result.payload.data)
    return str(head)

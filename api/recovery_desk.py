"""Owns the recovery actions that people ask for: the same workflow as the automatic ones."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, assert_never

import structlog
from pydantic import JsonValue
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from api.temporal import ask, update_with_start
from holdfast.domain.action import CommandAction, HttpAction, RecoveryAction, WorkflowAction
from holdfast.domain.policy import Policy
from holdfast.domain.recovery import RecoveryOutcome, RecoveryRequest, Ticket
from holdfast.domain.references import did_you_mean
from holdfast.errors import Conflict, InvalidInput, NotFound, Unavailable
from workflows.recovery import RecoveryInput, RecoveryWorkflow

log = structlog.get_logger(__name__)

_SHORTEST_TIMEOUT: Final = timedelta(minutes=1)
# How often the answer is looked for, from soon to seldom: a query costs a workflow task.
_FIRST_LOOK: Final = timedelta(milliseconds=200)
_LONGEST_PAUSE: Final = timedelta(seconds=2)


class RecoveryDesk:
    """Passes people's wishes on to the services' recoveries.

    Args:
        client: Temporal's client.
        policy: Gives the active policy.
        task_queue: Where recovery workflows run.
    """

    def __init__(self, *, client: Client, policy: Callable[[], Policy], task_queue: str) -> None:
        self._client = client
        self._policy = policy
        self._task_queue = task_queue

    async def perform(
        self, service: str, action: str, *, context: dict[str, JsonValue], actor: str, key: str
    ) -> Ticket:
        """Ask for an action on a service, past the limit for automatic ones.

        Args:
            service: One of the policy file's.
            action: The name of one of its actions.
            context: What the action's templates may name, as in a report.
            actor: Who asks.
            key: Asking twice with one key is asking once.

        Raises:
            NotFound: If there is no such service.
            Conflict: If it has no such action.
            InvalidInput: If the context lacks what the action needs.
            Unavailable: If Temporal or its workers gave no answer in time.
        """
        request = self._request(service, action, context=context, actor=actor, key=key)
        start = WithStartWorkflowOperation(
            RecoveryWorkflow.run,
            RecoveryInput(service=service),
            id=workflow_id(service),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"recovery of {service}",
        )
        return await update_with_start(
            self._client,
            RecoveryWorkflow.perform,
            request,
            start=start,
            workflow_id=workflow_id(service),
            update_id=request.id,
        )

    def _request(
        self, service: str, name: str, *, context: dict[str, JsonValue], actor: str, key: str
    ) -> RecoveryRequest:
        policy = self._policy()
        known = policy.services.get(service)
        if known is None:
            hint = did_you_mean(service, policy.services)
            raise NotFound(f"the policy file has no service '{service}'{hint}")
        action = known.actions.get(name)
        if action is None:
            has = ", ".join(sorted(known.actions)) or "none"
            raise Conflict(f"{service} has no action '{name}'; its actions: {has}")
        parameters: dict[str, JsonValue] = {"service": service, "context": context}
        try:
            rendered = action.rendered(parameters)
            health = known.health.rendered(parameters) if known.health else None
        except InvalidInput as error:
            raise InvalidInput(f"{name} of {service}: {error}", field=error.field) from error
        return RecoveryRequest(
            # With the action's name: one key for two actions must not make the second a repeat.
            id=f"{name}:{key}",
            service=service,
            action_name=name,
            action=rendered,
            health=health,
            timeout=_timeout(action, policy),
            limit=known.limit,
            manual=True,
            actor=actor,
        )

    async def outcome(
        self, service: str, request_id: str, *, within: timedelta
    ) -> RecoveryOutcome | None:
        """Wait for a request's outcome, at most so long; None if it takes longer."""
        pause = _FIRST_LOOK
        try:
            async with asyncio.timeout(within.total_seconds()):
                while True:
                    await asyncio.sleep(pause.total_seconds())
                    if found := await self._look(service, request_id):
                        return found
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
        except TimeoutError:
            return None

    async def _look(self, service: str, request_id: str) -> RecoveryOutcome | None:
        try:
            state = await ask(self._client, RecoveryWorkflow.snapshot, workflow_id(service))
        except Unavailable as error:
            # The request is durable: no answer now is no reason to call it failed.
            log.info("a recovery's outcome is not known yet", service=service, why=str(error))
            return None
        return next((each for each in state.outcomes if each.request_id == request_id), None)


def workflow_id(service: str) -> str:
    """The id of the workflow that all actions on a service go through."""
    return f"recovery:{service}"


def _timeout(action: RecoveryAction, policy: Policy) -> timedelta:
    """How long an action may take: what it says itself, and never less than a minute."""
    match action:
        case CommandAction():
            own = policy.commands[action.command].timeout
        case HttpAction() | WorkflowAction():
            own = action.timeout
        case _:
            assert_never(action)
    return max(own, _SHORTEST_TIMEOUT)

"""Owns the carrying out of recovery: the action, and the look whether it helped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

import httpx
from pydantic import JsonValue
from temporalio import activity
from temporalio.client import Client

from activities.actions.command import CommandActions
from activities.actions.health import HealthChecks
from activities.actions.http import HttpActions
from activities.actions.outcome import Detail, Done, NotDone
from activities.actions.run_workflow import WorkflowActions
from config.secrets import Secrets
from holdfast.domain.action import CommandAction, HttpAction, RecoveryAction, WorkflowAction
from holdfast.domain.policy import Policy
from holdfast.domain.recovery import RecoveryRequest, RecoveryResult, RecoveryRun, RecoveryStatus
from holdfast.errors import ConfigurationError

# Without a heartbeat timeout nobody listens, and any pace will do.
_UNHEARD = timedelta(seconds=10)
_BEATS_PER_TIMEOUT = 4


@dataclass(frozen=True)
class RecoverActivities:
    """Does to services what their recovery decided."""

    policy: Callable[[], Policy]
    secrets: Secrets
    client: Client
    http: httpx.AsyncClient

    @activity.defn(name="perform_recovery")
    async def perform_recovery(self, run: RecoveryRun) -> RecoveryResult:
        """Carry out a run's action and wait until the service is well.

        A failed action or an ill service is a result, not an error: whether to try again is the
        strategy's to decide. What is raised is the worker's own trouble; Temporal then runs this
        again and the service sees the same idempotency key.

        It takes the request's timeout for the action (and some six seconds to end it), then the
        health check's patience and five seconds; without an action the longer of the two.
        """
        async with _heartbeating():
            result = await self._carry_out(run)
        return RecoveryResult(
            status=result.status,
            reason=self.secrets.hidden(result.reason),
            detail={name: self._hidden(value) for name, value in result.detail.items()},
        )

    async def _carry_out(self, run: RecoveryRun) -> RecoveryResult:
        request = run.request
        if request.action is None and request.health is None:
            return _failed("there is neither an action nor a health check to carry out")
        try:
            done = await self._act(request.action, key=run.id, within=request.timeout)
        except NotDone as error:
            return _failed(str(error), {"action": error.detail})
        except ConfigurationError as error:
            return _failed(str(error), {"configuration": str(error)})
        return await self._verify(request, done)

    async def _act(
        self, action: RecoveryAction | None, *, key: str, within: timedelta
    ) -> Done | None:
        match action:
            case None:
                return None
            case HttpAction():
                http = HttpActions(self.http, self.secrets)
                return await http.perform(action, key=key, within=within)
            case CommandAction():
                commands = CommandActions(self.policy, self.secrets)
                return await commands.perform(action, key=key, within=within)
            case WorkflowAction():
                workflows = WorkflowActions(self.client)
                return await workflows.perform(action, key=key, within=within)
            case _:
                assert_never(action)

    async def _verify(self, request: RecoveryRequest, done: Done | None) -> RecoveryResult:
        summary = done.summary if done else ""
        detail: Detail = {"action": done.detail} if done else {}
        if request.health is None:
            return RecoveryResult(status=RecoveryStatus.SUCCEEDED, reason=summary, detail=detail)
        patience = request.health.patience
        if done is None:
            patience = max(patience, request.timeout)
        checks = HealthChecks(self.http, self.secrets)
        try:
            health = await checks.until_well(request.health, patience=patience)
        except ConfigurationError as error:
            return _failed(str(error), detail | {"configuration": str(error)})
        return RecoveryResult(
            status=RecoveryStatus.SUCCEEDED if health.well else RecoveryStatus.FAILED,
            reason="; ".join(part for part in (summary, str(health)) if part),
            detail=detail | {"health": health.detail},
        )

    def _hidden(self, value: JsonValue) -> JsonValue:
        match value:
            case str():
                return self.secrets.hidden(value)
            case dict():
                return {name: self._hidden(inner) for name, inner in value.items()}
            case list():
                return [self._hidden(inner) for inner in value]
            case _:
                return value


def _failed(reason: str, detail: Detail | None = None) -> RecoveryResult:
    return RecoveryResult(status=RecoveryStatus.FAILED, reason=reason, detail=detail or {})


@asynccontextmanager
async def _heartbeating() -> AsyncIterator[None]:
    """Tell Temporal all the while that this worker lives; one that falls silent is replaced."""
    beating = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait([beating])


async def _beat() -> None:
    pause = (activity.info().heartbeat_timeout or _UNHEARD) / _BEATS_PER_TIMEOUT
    while True:
        activity.heartbeat()
        await asyncio.sleep(pause.total_seconds())

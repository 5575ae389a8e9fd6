"""One incident on a server whose time passes when a test says so."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from holdfast.domain.audit import AuditEntry
from holdfast.domain.incident import Incident
from holdfast.domain.notification import Notification
from holdfast.domain.policy import Policy
from tests.workflows.policies import report_of
from tests.workflows.world import Told, World

_BEGUN = "workflow_task_completed_event_attributes"


async def settled(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until a workflow has nothing to do before more time passes."""
    async with asyncio.timeout(10):
        while not await _rests(handle):
            await asyncio.sleep(0.01)


async def _rests(handle: WorkflowHandle[Any, Any]) -> bool:
    description = (await handle.describe()).raw_description
    waits = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    working = [
        each for each in description.pending_activities if each.state != waits or each.attempt == 1
    ]
    return not working and not description.HasField("pending_workflow_task")


class Night:
    """An incident that was reported and whose time stands still until it is told to pass.

    Attributes:
        world: What it acts on.
        told: The reports that opened it.
    """

    def __init__(self, env: WorkflowEnvironment, world: World, policy: Policy, told: Told) -> None:
        self.world = world
        self.told = told
        self.id = told.answer.incident_id
        self._env = env
        self._policy = policy
        self._handle = world.client.get_workflow_handle(told.handle.id)

    async def passes(self, duration: timedelta = timedelta(0), **units: float) -> None:
        """Let time pass, with all that happens in it.

        It had better not end within a second of something that is due: the server may then go on
        to what is due next.
        """
        await self._env.fast_forward(self._handle, duration + timedelta(**units))
        await self.settled()

    async def settled(self) -> None:
        """Wait until the workflow has nothing to do before more time passes."""
        await settled(self._handle)

    async def reported(self, count: int = 1, message: str = "it broke") -> Told:
        """Report the error again."""
        report = report_of(self.told.message.batch.sample.service, message)
        again = await self.world.report(self._policy, report, count=count)
        await self.settled()
        return again

    async def does(self, deed: str, *, by: str = "Ada", **fields: Any) -> Incident:
        """Have somebody do something to it."""
        message = {"by": by, "incident_id": self.id} | fields
        answer = await self._handle.execute_update(deed, message, result_type=Incident)
        await self.settled()
        return answer

    async def refuses(self, deed: str, *, by: str = "Ada", **fields: Any) -> str:
        """Have somebody try to do something to it; why they may not, with the refusal's type."""
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await self.does(deed, by=by, **fields)
        cause = refused.value.cause
        assert isinstance(cause, ApplicationError)
        return f"{cause.type}: {cause.message}"

    async def hears(self, signal: str, message: Any = None) -> None:
        """Send it a signal."""
        await self._handle.signal(signal, *([message] if message is not None else []))
        await self.settled()

    async def incident(self) -> Incident:
        """It as it is now."""
        return await self._handle.query("snapshot", result_type=Incident)

    async def run(self) -> str:
        """The workflow's present run."""
        return (await self._handle.describe()).run_id

    async def next_run(self) -> None:
        """Have it reported until its history is long enough for a new run."""
        present = await self.run()
        async with asyncio.timeout(10):
            while await self.run() == present:
                await self.reported()
            # The server lets a new run that follows quickly begin a little later.
            while not any(each.HasField(_BEGUN) for each in await self.history()):
                await asyncio.sleep(0.01)

    async def history(self) -> list[HistoryEvent]:
        """The events of the workflow's present run."""
        return list((await self._handle.fetch_history()).events)

    async def now(self) -> datetime:
        """What its clock shows."""
        return await self._env.get_current_time(self._handle)

    async def ends(self) -> Incident:
        """Resolve it, and wait until everybody who was told knows."""
        if not (await self.incident()).is_resolved:
            await self._handle.execute_update("resolve", {"by": "Ada"})
        with suppress(RPCError):  # It may have ended by now.
            await self._env.fast_forward(self._handle, timedelta(minutes=1))
        await self._handle.result()
        return self.world.records[-1].incident

    @property
    def notifications(self) -> list[Notification]:
        """What arrived of it, updates of messages left out."""
        return [
            each
            for each in self.world.notifications
            if each.headline.incident_id == self.id and each.kind != "update"
        ]

    @property
    def arrived(self) -> list[str]:
        """What arrived and whom it reached, as ``page to ada``."""
        return [f"{each.kind.value} to {each.person or each.target}" for each in self.notifications]

    @property
    def entries(self) -> list[AuditEntry]:
        """What is on the record of it, in its order."""
        mine = [each for each in self.world.entries.values() if each.incident_id == self.id]
        return sorted(mine, key=lambda each: (each.at, each.sequence))

    @property
    def facts(self) -> list[str]:
        """What is on the record of it, as people read it."""
        return [each.summary for each in self.entries]

    @property
    def pages(self) -> list[str]:
        """Every page that went out, as ``level 1, round 1``, and why if it was not its turn."""
        told = [each.detail for each in self.entries if each.event == "escalation.level_paged"]
        causes = [each.get("cause", "level") for each in told]
        return [
            f"level {each['level']}, round {each['round']}"
            + (f": {cause}" if cause != "level" else "")
            for each, cause in zip(told, causes, strict=True)
        ]

    def arrives(self) -> Callable[[], list[str]]:
        """Tells what arrived since it was told last."""
        seen = len(self.arrived)

        def since() -> list[str]:
            nonlocal seen
            new, seen = self.arrived[seen:], len(self.arrived)
            return new

        return since


class Nights:
    """Begins nights in one world."""

    def __init__(self, env: WorkflowEnvironment, world: World) -> None:
        self._env = env
        self.world = world

    async def begins(
        self, policy: Policy, service: str, *, count: int = 1, settled: bool = True
    ) -> Night:
        """Report an error, and wait until what is to be done at once is done."""
        with self._env.with_time_skipping_disabled():
            told = await self.world.report(policy, report_of(service), count=count)
        night = Night(self._env, self.world, policy, told)
        if settled:
            await night.settled()
        return night

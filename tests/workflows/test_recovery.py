"""RecoveryWorkflow: one action at a time on a service, shared by equals, held to a limit."""

import asyncio
import uuid

from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from holdfast.domain.action import HttpAction
from holdfast.domain.recovery import (
    RecoveryLimit,
    RecoveryRequest,
    RecoveryState,
    RecoveryStatus,
    Ticket,
    TicketStatus,
)
from tests.workflows.policies import RESTART, policy_for, report_of
from tests.workflows.world import World, until
from workflows.recovery import RecoveryInput, RecoveryWorkflow


def request_of(service: str, name: str = "restart", *, manual: bool = True) -> RecoveryRequest:
    """A request for an action of its own."""
    return RecoveryRequest(
        id=str(uuid.uuid4()),
        service=service,
        action_name=name,
        action=HttpAction(url=f"http://127.0.0.1:1/{name}"),
        limit=RecoveryLimit(actions=2),
        manual=manual,
    )


async def perform(world: World, request: RecoveryRequest) -> Ticket:
    """Ask as the API does."""
    operation = WithStartWorkflowOperation(
        RecoveryWorkflow.run,
        RecoveryInput(service=request.service),
        id=f"recovery:{request.service}",
        task_queue=world.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    return await world.client.execute_update_with_start_workflow(
        RecoveryWorkflow.perform, request, start_workflow_operation=operation, id=request.id
    )


async def state_of(world: World, service: str) -> RecoveryState:
    """The service's recovery as it is now."""
    handle = world.client.get_workflow_handle_for(RecoveryWorkflow.run, f"recovery:{service}")
    return await handle.query(RecoveryWorkflow.snapshot)


async def test_an_incident_is_answered_through_the_services_recovery(
    unhurried_world_with_recovery: World, service: str
) -> None:
    """The real way: incident asks, recovery acts, the answer comes back as a signal."""
    world = unhurried_world_with_recovery
    told = await world.report(policy_for(service, RESTART), report_of(service))
    await until(lambda: bool(world.runs))
    await until(lambda: "step.succeeded" in world.events, within=20)
    await told.handle.result()
    assert [run.request.action_name for run in world.runs] == ["restart"]


async def test_equal_requests_share_a_run(world: World, service: str) -> None:
    """Twenty ask for the same restart; the service is restarted once, and all are answered."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_: RecoveryRequest) -> RecoveryStatus:
        begun.set()
        await may_end.wait()
        return RecoveryStatus.SUCCEEDED

    world.carry_out = slow
    first = await perform(world, request_of(service))
    await begun.wait()
    others = await asyncio.gather(*[perform(world, request_of(service)) for _ in range(19)])
    may_end.set()
    await until(lambda: "recovery.finished" in world.events)
    assert {ticket.status for ticket in others} == {TicketStatus.SHARED}
    assert {ticket.run_id for ticket in others} == {first.run_id}
    assert len(world.runs) == 1
    assert len((await state_of(world, service)).outcomes) == 20


async def test_different_actions_wait_for_each_other(world: World, service: str) -> None:
    """Never two actions at once on one service."""
    at_once: list[int] = []
    running = 0

    async def counting(_: RecoveryRequest) -> RecoveryStatus:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0)
        running -= 1
        return RecoveryStatus.SUCCEEDED

    world.carry_out = counting
    await asyncio.gather(*[perform(world, request_of(service, f"act-{n}")) for n in range(5)])
    await until(lambda: len(world.runs) == 5)
    assert max(at_once) == 1


async def test_the_limit_refuses_automatic_actions_but_not_a_person(
    world: World, service: str
) -> None:
    """Two automatic restarts within the window are the limit; an operator may still act."""
    for number in range(3):
        await perform(world, request_of(service, f"act-{number}", manual=False))
    await perform(world, request_of(service, "by-hand"))
    await until(lambda: world.events.count("recovery.finished") == 3)
    outcomes = (await state_of(world, service)).outcomes
    assert [outcome.status.value for outcome in outcomes] == [
        "succeeded",
        "succeeded",
        "refused",
        "succeeded",
    ]
    assert "are the limit" in outcomes[2].reason


async def test_asking_twice_with_one_id_is_asking_once(world: World, service: str) -> None:
    """A request that is told again after it was carried out changes nothing."""
    request = request_of(service)
    await perform(world, request)
    await until(lambda: "recovery.finished" in world.events)
    handle = world.client.get_workflow_handle(f"recovery:{service}")
    await handle.signal("request", request)
    assert len((await state_of(world, service)).outcomes) == 1


async def test_fallback_is_remembered_until_restored(world: World, service: str) -> None:
    """The service's state says that it runs on its fallback, and since when."""
    await perform(world, request_of(service, "fallback"))
    await until(lambda: len(world.runs) == 1)
    await until(lambda: "recovery.finished" in world.events)
    assert (await state_of(world, service)).fallback_since is not None
    await perform(world, request_of(service, "restore"))
    await until(lambda: world.events.count("recovery.finished") == 2)
    assert (await state_of(world, service)).fallback_since is None

"""IncidentWorkflow counts: every report once, in the incident where it belongs."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from holdfast.domain.notification import Notification
from holdfast.domain.strategy import Step, StepKind
from tests.workflows.night import Nights
from tests.workflows.policies import ladder, policy_for, report_of
from tests.workflows.world import World, until

IGNORE = Step(step=StepKind.IGNORE)


async def test_a_batch_told_twice_counts_once(nights: Nights, service: str) -> None:
    """A dispatch that crashed before it noted its success is told again."""
    night = await nights.begins(policy_for(service, IGNORE, health=False), service, count=3)
    await night.hears("report", night.told.message)
    assert (await night.incident()).report_count == 3


async def test_repeats_are_folded_into_the_open_incident(nights: Nights, service: str) -> None:
    """Many reports, one incident, an exact count."""
    night = await nights.begins(policy_for(service, IGNORE, health=False), service, count=5)
    again = await night.reported(count=8)
    assert again.answer.incident_id == night.id
    assert (night.told.answer.repeat, again.answer.repeat) == (False, True)
    assert (await night.ends()).report_count == 13


async def test_a_report_during_closing_opens_the_next_incident(
    nights: Nights, service: str
) -> None:
    """None falls between: while the record of the old one can't be written, the new one opens."""
    world = nights.world
    night = await nights.begins(policy_for(service, IGNORE, health=False), service, count=2)
    world.database_away = True
    await night.does("resolve")
    second = await night.reported(count=3)
    assert second.answer.incident_id == second.message.batch.id
    world.database_away = False
    await until(lambda: world.records[-1].incident.id == second.answer.incident_id)
    old = world.client.get_workflow_handle(
        night.told.handle.id, run_id=night.told.handle.first_execution_run_id
    )
    assert (await old.describe()).status is WorkflowExecutionStatus.CONTINUED_AS_NEW
    counts = {
        record.incident.id: record.incident.report_count
        for record in world.records
        if record.incident
    }
    assert counts == {night.id: 2, second.answer.incident_id: 3}


async def test_an_error_that_returns_after_the_end_is_a_new_incident(
    world: World, service: str
) -> None:
    """Recurrence is a new run of the same workflow id."""
    policy = policy_for(service, IGNORE, health=False)
    first = await world.report(policy, report_of(service))
    await first.handle.result()
    second = await world.report(policy, report_of(service))
    assert second.answer.incident_id != first.answer.incident_id
    assert second.answer.repeat is False


async def test_an_answer_for_the_last_incident_does_not_reach_the_next(
    world: World, service: str
) -> None:
    """Acknowledging names its incident; the workflow id alone would hit the wrong one."""
    first = await world.report(policy_for(service, IGNORE, health=False), report_of(service))
    await first.handle.result()
    refusals: list[str] = []

    async def answer_late(notification: Notification) -> None:
        if notification.kind == "page":
            handle = world.client.get_workflow_handle(first.handle.id)
            late = {"by": "bob", "incident_id": first.answer.incident_id}
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await handle.execute_update("acknowledge", late)
            refusals.append(refused.value.cause.type)

    world.deliver = answer_late
    policy = policy_for(service, Step(step=StepKind.ESCALATE), escalation=ladder(), health=False)
    second = await world.report(policy, report_of(service))
    await second.handle.result()
    assert set(refusals) == {"IncidentAlreadyResolved"}
    assert world.records[-1].incident.acknowledged_by is None


async def test_a_storm_goes_on_over_new_runs_and_counts_exactly(
    unhurried_world: World, service: str
) -> None:
    """Continue-as-new under fire: six tellers, several runs, nothing lost, nothing twice."""
    world = unhurried_world
    policy = policy_for(service, IGNORE, health=False, quiet=timedelta(days=30))
    first = await world.report(policy, report_of(service))

    async def teller() -> None:
        for _ in range(25):
            await world.report(policy, report_of(service), count=2)

    await asyncio.gather(*[teller() for _ in range(6)])
    handle = world.client.get_workflow_handle(first.handle.id)
    await until(lambda: world.records[-1].incident.report_count == 301)
    runs = {record.entries[-1].run_id for record in world.records if record.incident}
    await handle.execute_update("resolve", {"by": "ada"})
    assert len(runs) > 1
    assert world.records[-1].incident.id == first.answer.incident_id

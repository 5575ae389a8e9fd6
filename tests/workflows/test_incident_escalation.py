"""IncidentWorkflow escalates: timed levels, stopped by whoever answers first."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from holdfast.domain.incident_status import IncidentStatus, Resolution
from holdfast.domain.notification import Notification
from holdfast.domain.strategy import Step, StepKind
from tests.workflows.policies import LEVELS, RESTART, ladder, policy_for, report_of
from tests.workflows.world import World, only_health_helps

ESCALATE = Step(step=StepKind.ESCALATE)


async def test_levels_fire_in_order_until_the_last(world: World, service: str) -> None:
    """Hours of escalation: three levels, twice, each given its time."""
    escalation = ladder(repeat=1, wait=timedelta(hours=1))
    policy = policy_for(
        service, ESCALATE, escalation=escalation, health=False, quiet=timedelta(days=2)
    )
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    assert world.paged() == [
        (climb, level, name)
        for climb in (1, 2)
        for level, name in enumerate(("first", "second", "third"), start=1)
    ]


async def test_exhausted_recovery_ends_the_hold(world: World, service: str) -> None:
    """The page goes out as soon as recovery has nothing left, not when its hold is over."""
    world.carry_out = only_health_helps
    escalation = ladder(hold=timedelta(hours=12))
    policy = policy_for(service, RESTART, escalation=escalation, quiet=timedelta(days=2))
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    opened = world.records[-1].incident.opened_at
    pages = [entry for entry in world.entries.values() if entry.event == "escalation.level_paged"]
    assert pages[0].at - opened < timedelta(minutes=1)


async def test_acknowledging_stops_what_was_not_sent(world: World, service: str) -> None:
    """The second level's page brings the answer; the third is never paged."""

    async def answer_at_second(notification: Notification) -> None:
        if notification.kind == "page" and notification.level == 2:
            handle = world.client.get_workflow_handle(notification.headline.workflow_id)
            await handle.signal("acknowledge", {"by": "ada"})

    world.deliver = answer_at_second
    policy = policy_for(service, ESCALATE, escalation=ladder(repeat=3), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    assert [page[2] for page in world.paged()][:1] == ["first"]
    assert "third" not in [page[2] for page in world.paged()]
    assert world.records[-1].incident.acknowledged_by == "ada"


async def test_the_second_to_acknowledge_hears_who_had_it_first(world: World, service: str) -> None:
    """Acknowledging is an update: its answer names the person."""
    policy = policy_for(service, ESCALATE, escalation=ladder(hold=timedelta(0)), health=False)

    async def two_answer(notification: Notification) -> None:
        if notification.kind != "page":
            return
        handle = world.client.get_workflow_handle(notification.headline.workflow_id)
        await handle.signal("acknowledge", {"by": "ada"})
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("acknowledge", {"by": "bob"})
        assert isinstance(refused.value.cause, ApplicationError)
        assert "ada has had it since" in refused.value.cause.message
        raise ApplicationError("seen", type="rejected", non_retryable=True)

    world.deliver = two_answer
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    assert world.records[-1].incident.acknowledged_by == "ada"


async def test_a_channel_that_refuses_is_on_the_record(world: World, service: str) -> None:
    """A page that fails for good says why, and the next level is paged all the same."""

    async def first_is_broken(notification: Notification) -> None:
        if str(notification.target) == "first":
            raise ApplicationError("invalid_auth", type="configuration", non_retryable=True)

    world.deliver = first_is_broken
    policy = policy_for(service, ESCALATE, escalation=ladder(), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    assert [page[2] for page in world.paged()] == ["second", "third"]
    failed = world.records[-1].incident.deliveries[0]
    assert (failed.status.value, failed.failure.value) == ("failed", "configuration")
    assert failed.reason == "invalid_auth"


async def test_a_page_is_retried_with_one_idempotency_key(world: World, service: str) -> None:
    """A channel that is down for minutes gets the page when it is back."""
    tries: list[str] = []

    async def down_twice(notification: Notification) -> None:
        tries.append(notification.id)
        if len(tries) < 3:
            raise ApplicationError("503", type="deferred", next_retry_delay=timedelta(minutes=2))

    world.deliver = down_twice
    policy = policy_for(service, ESCALATE, escalation=ladder(wait=timedelta(hours=2)), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    assert tries[0] == tries[1] == tries[2]
    assert world.paged()[0] == (1, 1, "first")


async def test_everybody_who_was_paged_hears_of_the_end(world: World, service: str) -> None:
    """Resolving tells those who were told, in reply to their page, and nobody else.

    The second's page was on its way when the incident ended, and arrived.
    """

    async def resolve_at_second(notification: Notification) -> None:
        if notification.kind == "page" and notification.level == 2:
            handle = world.client.get_workflow_handle(notification.headline.workflow_id)
            await handle.execute_update("resolve", {"by": "ada", "note": "it was the cable"})

    world.deliver = resolve_at_second
    policy = policy_for(service, ESCALATE, escalation=ladder(), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    ends = [each for each in world.notifications if each.kind == "resolved"]
    assert [str(each.target) for each in ends] == ["first", "second"]
    assert ends[0].reply_to.startswith("ref-")
    assert world.records[-1].incident.status is IncidentStatus.RESOLVED


async def test_cancelling_the_workflow_is_a_persons_resolution(world: World, service: str) -> None:
    """ "Cancel" in the Temporal UI ends the incident, and the record says so."""

    async def cancel(notification: Notification) -> None:
        if notification.kind == "page":
            await world.client.get_workflow_handle(notification.headline.workflow_id).cancel()

    world.deliver = cancel
    policy = policy_for(service, ESCALATE, escalation=ladder(), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    last = world.records[-1].incident
    assert (last.resolution, last.resolved_by) == (Resolution.PERSON, "somebody in the Temporal UI")
    assert len(world.paged()) <= 1


async def test_an_escalation_climbs_on_over_new_runs(unhurried_world: World, service: str) -> None:
    """Reports without end make the history long; each level is still paged once, in its order."""
    world = unhurried_world
    escalation = ladder(hold=timedelta(0), wait=timedelta(seconds=2))
    policy = policy_for(service, ESCALATE, escalation=escalation, health=False)
    told = await world.report(policy, report_of(service))
    while len(world.paged()) < len(LEVELS):
        await world.report(policy, report_of(service))
    handle = world.client.get_workflow_handle(told.handle.id)
    await handle.execute_update("resolve", {"by": "ada"})
    await handle.result()
    runs = {record.entries[-1].run_id for record in world.records if record.incident}
    assert len(runs) > 1
    assert world.paged() == [(1, level, name) for level, name in enumerate(LEVELS, start=1)]


async def test_without_a_policy_it_is_said_that_nobody_is_paged(world: World, service: str) -> None:
    """No policy fits: the incident is kept, and says so."""
    told = await world.report(policy_for(service, ESCALATE, health=False), report_of(service))
    await told.handle.result()
    assert "escalation.impossible" in world.events

"""Whoever opens an incident in the Temporal UI understands it without our pages."""

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.contrib.pydantic import pydantic_data_converter

from config import search_attributes
from holdfast.domain.notification import Notification
from holdfast.domain.strategy import Step, StepKind
from tests.workflows.policies import RESTART, ladder, policy_for, report_of
from tests.workflows.world import World

ESCALATE = Step(step=StepKind.ESCALATE)


async def test_an_incident_is_found_by_its_search_attributes(world: World, service: str) -> None:
    """Service, category, severity, status and the incident's own id, kept up to date."""
    told = await world.report(policy_for(service, RESTART), report_of(service))
    await told.handle.result()
    found = (await told.handle.describe()).typed_search_attributes
    assert {key.name: found.get(key) for key in search_attributes.ALL} == {
        "HoldfastIncident": told.answer.incident_id,
        "HoldfastService": service,
        "HoldfastCategory": "unknown",
        "HoldfastSeverity": "medium",
        "HoldfastStatus": "resolved",
    }


async def test_current_details_tell_where_it_stands(world: World, service: str) -> None:
    """The details say who was paged, and follow every change."""
    details: list[str] = []

    async def look(notification: Notification) -> None:
        handle = world.client.get_workflow_handle(notification.headline.workflow_id)
        metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        details.append(metadata.current_details)

    world.deliver = look
    policy = policy_for(service, ESCALATE, escalation=ladder(), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    assert details[1].startswith(f"### ESCALATED · {service} · medium")
    assert "- **Paged** level 2, round 1" in details[1]
    assert "page to first: sent" in details[1]


async def test_every_timer_and_activity_says_what_it_is_for(world: World, service: str) -> None:
    """No step of the history is a riddle."""
    policy = policy_for(service, ESCALATE, escalation=ladder(), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    events = (await told.handle.fetch_history()).events
    steps = [
        each
        for each in events
        if each.HasField("timer_started_event_attributes")
        or each.HasField("activity_task_scheduled_event_attributes")
    ]
    summaries = [
        await pydantic_data_converter.decode([each.user_metadata.summary]) for each in steps
    ]
    assert ["page to first"] in summaries
    assert ["level 2 is paged unless somebody acknowledges"] in summaries
    assert all(summary[0] for summary in summaries)

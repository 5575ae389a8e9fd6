"""Records histories on a real server: ``python -m tests.replay.record NAME [SCENARIO ...]``.

A recorded history stands for the workflows that run somewhere when the code changes. Add new ones
under a new name when a change needs ``workflow.patched``; the old ones are never edited.
"""

import asyncio
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from config import search_attributes
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.notification import Notification, NotificationKind
from holdfast.domain.page import AdmissionRequest
from holdfast.domain.person import Contact
from holdfast.domain.recovery import RecoveryRequest, RecoveryStatus
from holdfast.domain.strategy import Backoff, Step, StepKind
from holdfast.domain.target import Target
from holdfast.domain.throttle import Admission, AdmissionKind
from tests.workflows.policies import ladder, policy_for, report_of
from tests.workflows.watched import RULES, Watched
from tests.workflows.world import Reached, World, reached, until, working
from workflows.messages import (
    Acknowledge,
    Reassign,
    Remarked,
    Resolve,
    Snooze,
    Unacknowledge,
)

HISTORIES = Path(__file__).with_name("histories")
CHECKOUT = Path(__file__).parents[2]
SOON = timedelta(seconds=1)
RESTART = Step(
    step=StepKind.RESTART, attempts=2, backoff=Backoff(initial=SOON, jitter=0.0), settle=SOON
)


async def recovered(world: World) -> list[WorkflowHandle]:
    """A restart fails, its second attempt helps; reported again meanwhile."""
    answers = iter([RecoveryStatus.FAILED, RecoveryStatus.SUCCEEDED])

    def second_helps(_: RecoveryRequest) -> RecoveryStatus:
        return next(answers)

    world.carry_out = second_helps
    policy = policy_for("recovered", RESTART, escalation=ladder())
    told = await world.report(policy, report_of("recovered"))
    await world.report(policy, report_of("recovered"), count=4)
    await told.handle.result()
    return [told.handle, world.client.get_workflow_handle("recovery:recovered")]


async def escalated(world: World) -> list[WorkflowHandle]:
    """Three levels of which one fails; acknowledged by signal and resolved by update."""

    async def second_is_broken(notification: Notification) -> None:
        if str(notification.target) == "second":
            raise RuntimeError("down for a moment")

    policy = policy_for(
        "escalated",
        Step(step=StepKind.ESCALATE),
        escalation=ladder(wait=SOON),
        health=False,
    )
    world.deliver = second_is_broken
    told = await world.report(policy, report_of("escalated"))
    await until(lambda: (1, 3, "third") in world.paged(), within=20)
    await told.handle.signal("acknowledge", Acknowledge(by="ada"))
    await until(lambda: "incident.acknowledged" in world.events)
    await told.handle.execute_update("resolve", Resolve(by="ada", note="it was the cable"))
    await told.handle.result()
    return [told.handle]


async def mitigated(world: World) -> list[WorkflowHandle]:
    """A breaker opened and features shed, both given back; the database away for a while."""
    policy = policy_for(
        "mitigated",
        Step(step=StepKind.OPEN_BREAKER, settle=timedelta(seconds=3)),
        Step(step=StepKind.DEGRADE, settle=SOON),
        health=False,
    )
    world.database_away = True
    told = await world.report(policy, report_of("mitigated"))
    handle = world.client.get_workflow_handle(told.handle.id)
    await asyncio.sleep(1.5)
    await world.report(policy, report_of("mitigated"))
    world.database_away = False
    await handle.result()
    names = ("breaker:mitigated", "degradation:mitigated")
    return [told.handle, *map(world.client.get_workflow_handle, names)]


async def handed_on(world: World) -> list[WorkflowHandle]:
    """A message that is edited, a fallback, a bundle; taken, taken back, snoozed, handed over."""

    def reach(target: Target, _: datetime) -> Reached:
        contacts = (Contact(channel="broken"), Contact(channel="works", to=str(target)))
        return reached(target, *(contacts if str(target) == "second" else ()), edits=True)

    async def one_is_broken(notification: Notification) -> None:
        if str(notification.address) == "broken":
            raise ApplicationError("refused", type="rejected", non_retryable=True)

    def wait_once(request: AdmissionRequest) -> Admission:
        if request.contact.channel != "third" or request.at > waits_until:
            return Admission()
        return Admission(kind=AdmissionKind.WAIT, until=waits_until, reason="bundled")

    waits_until = datetime.now(UTC) + timedelta(seconds=6)
    world.reach, world.deliver, world.admit = reach, one_is_broken, wait_once
    escalation = ladder(hold=timedelta(0), wait=SOON).model_copy(
        update={"acknowledgement_timeout": 3 * SOON, "remind_before": SOON}
    )
    policy = policy_for(
        "handed_on", Step(step=StepKind.ESCALATE), escalation=escalation, health=False
    )
    told = await world.report(policy, report_of("handed_on"))
    await until(lambda: (1, 3, "third") in world.paged(), within=20)
    await told.handle.execute_update("acknowledge", Acknowledge(by="ada", person="ada"))
    await until(lambda: "incident.unacknowledged" in world.events, within=20)
    soon = datetime.now(UTC) + 2 * SOON
    await told.handle.execute_update("snooze", Snooze(by="ada", until=soon))
    await until(lambda: world.events.count("incident.unacknowledged") > 1, within=20)
    handover = Reassign(by="ada", to=Target(channel="first"))
    await told.handle.execute_update("reassign", handover)
    await told.handle.execute_update("note", Remarked(by="ada", text="the cable looks loose"))
    await told.handle.execute_update("resolve", Resolve(by="grace", note="it was the cable"))
    await told.handle.result()
    return [told.handle]


async def taken(world: World) -> list[WorkflowHandle]:
    """Somebody acts before a page is known to be posted, and again as one is refused."""
    deeds: list[asyncio.Task[None]] = []

    def reach(target: Target, _: datetime) -> Reached:
        contacts = (Contact(channel="broken"), Contact(channel="works")) if deeds else ()
        return reached(target, *contacts, edits=True)

    async def acted_upon(notification: Notification) -> None:
        if notification.kind is not NotificationKind.PAGE or str(notification.address) == "works":
            return
        handle = world.client.get_workflow_handle(notification.headline.workflow_id)
        acknowledging = handle.execute_update("acknowledge", Acknowledge(by="ada"))
        deeds.append(asyncio.create_task(acknowledging))
        await until(lambda: world.events.count("incident.acknowledged") == len(deeds))
        if str(notification.address) == "broken":
            raise ApplicationError("refused", type="rejected", non_retryable=True)

    world.reach, world.deliver = reach, acted_upon
    policy = policy_for("taken", Step(step=StepKind.ESCALATE), escalation=ladder(), health=False)
    told = await world.report(policy, report_of("taken"))
    await until(lambda: bool(deeds))
    await asyncio.gather(*deeds)
    await told.handle.execute_update("unacknowledge", Unacknowledge(by="ada"))
    await until(lambda: len(deeds) == 2)
    await asyncio.gather(*deeds)
    await told.handle.execute_update("resolve", Resolve(by="ada"))
    await told.handle.result()
    return [told.handle]


async def late(world: World) -> list[WorkflowHandle]:
    """A report of yesterday's error, of a service that is unwell once and then well."""
    checks = iter([RecoveryStatus.FAILED, RecoveryStatus.SUCCEEDED])
    world.carry_out = lambda _: next(checks)
    policy = policy_for("late", Step(step=StepKind.ESCALATE), escalation=ladder(), quiet=2 * SOON)
    told = await world.report(policy, report_of("late"), ago=timedelta(days=1))
    await told.handle.result()
    return [told.handle]


async def probed(world: World) -> list[WorkflowHandle]:
    """A breaker that trips, fails its first probe, closes by its second, and is held by hand."""
    rules = RULES.model_copy(
        update={
            "open_for": Backoff(initial=SOON, factor=1.0),
            "lease_for": SOON,
            "ramp": (0.5,),
            "ramp_step": SOON,
        }
    )
    breaker = Watched(world, "probed")
    await breaker.trips(rules=rules)
    await breaker.recorded(2)
    await breaker.leases("a", "b", "c", epoch=2)
    await breaker.probed("a", epoch=2, passed=False)
    await breaker.recorded(4)
    await breaker.leases("leaked", epoch=4)
    while (await breaker.state()).leases:
        await asyncio.sleep(0.1)
    await breaker.leases("a", "b", epoch=4)
    await breaker.probed("a", "b", epoch=4)
    await breaker.recorded(6)
    await breaker.is_held()
    await breaker.mode(BreakerStatus.FORCED_OPEN, until=datetime.now(UTC) + 2 * SOON)
    await breaker.recorded(9)
    await breaker.is_released()
    await breaker.mode(BreakerStatus.METRICS_ONLY, reason="to see what it would do")
    await breaker.mode(None)
    await breaker.recorded(12)
    return [breaker.handle]


SCENARIOS = (recovered, escalated, mitigated, handed_on, taken, late, probed)


async def record(name: str, scenarios: Sequence[str]) -> None:
    """Run the scenarios, all when none are named, and keep the histories of what took part."""
    env = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        data_converter=pydantic_data_converter,
        search_attributes=search_attributes.ALL,
    )
    try:
        for scenario in [each for each in SCENARIOS if each.__name__ in scenarios or not scenarios]:
            world = World(client=env.client, task_queue=f"record-{uuid.uuid4()}")
            async with working(world, recovery=True):
                for handle in await scenario(world):
                    history = await handle.fetch_history()
                    kind = handle.id.partition(":")[0]
                    path = HISTORIES / f"{kind}-{scenario.__name__}-{name}.json"
                    # Stack traces name files as they lie in the checkout, wherever that is.
                    path.write_text(history.to_json().replace(f"{CHECKOUT}/", "") + "\n")
    finally:
        await env.shutdown()


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], sys.argv[2:]))

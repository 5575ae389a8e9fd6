"""IncidentWorkflow asks its rules again as it goes on, and only ever becomes louder."""

from datetime import timedelta

from holdfast.domain.escalation import Escalation, EscalationRule
from tests.workflows.night import Night, Nights
from tests.workflows.policies import ADA, BOB, CAROL, ESCALATE, RESTART, paging, policy_for
from tests.workflows.world import only_health_helps

MINUTE = timedelta(minutes=1)
POLICIES = {
    "default": paging((ADA,), (BOB,)),
    "loud": paging((CAROL,), (BOB,)),
    "patient": paging((ADA,), hold_page_for=timedelta(minutes=30)),
}


async def begins(nights: Nights, service: str, *rules: dict, steps=(ESCALATE,), **fields) -> Night:
    escalation = Escalation(
        policies=POLICIES, rules=[EscalationRule.model_validate(each) for each in rules]
    )
    given = policy_for(
        service,
        *steps,
        escalation=escalation,
        health=steps != (ESCALATE,),
        quiet=timedelta(days=30),
    )
    return await nights.begins(given, service, **fields)


OFTEN = {"raise_severity": "critical", "occurrences": "50 within 5m"}
LOUD = {"policy": "loud", "severity": ["critical"]}


async def test_many_reports_raise_the_severity_and_with_it_the_policy(nights: Nights, service: str):
    """The fiftieth within five minutes makes it critical; the louder policy begins at once."""
    night = await begins(nights, service, OFTEN, LOUD)
    await night.reported(count=48)
    assert (await night.incident()).severity == "medium"
    await night.reported()
    incident = await night.incident()
    assert (incident.severity, incident.escalation.policy) == ("critical", "loud")
    assert night.arrived == ["page to ada", "page to carol"]
    assert [(each.policy, each.severity) for each in incident.escalation.choices] == [
        ("default", "medium"),
        ("loud", "critical"),
    ]
    raised = "the severity is raised to critical by escalation rule 1 (reported 50 within 0:05:00)"
    assert raised in night.facts
    switched = "escalation goes on with 'loud': escalation rule 2 chose 'loud'"
    assert switched in night.facts
    await night.passes(11 * MINUTE)
    assert night.arrived[2:] == ["page to bob"]


async def test_reports_that_come_slowly_do_not_add_up(nights: Nights, service: str):
    """50 within five minutes, not in an hour."""
    night = await begins(nights, service, OFTEN, LOUD, count=30)
    await night.passes(6 * MINUTE)
    await night.reported(count=30)
    assert (await night.incident()).severity == "medium"


async def test_the_reports_that_open_it_count(nights: Nights, service: str):
    """A storm that comes as one batch is loud from its first page."""
    night = await begins(nights, service, OFTEN, LOUD, count=50)
    assert night.arrived == ["page to carol"]


async def test_what_was_chosen_never_becomes_quieter(nights: Nights, service: str):
    """Nor is it begun again: the storm passed, and the loud policy goes on."""
    loud = {"policy": "loud", "occurrences": "50 within 5m"}
    night = await begins(nights, service, loud, count=50)
    await night.passes(6 * MINUTE)
    await night.reported()
    await night.reported(count=60)
    await night.passes(5 * MINUTE)
    assert night.arrived == ["page to carol", "page to bob"]


async def test_many_incidents_of_a_service_are_counted(nights: Nights, service: str):
    """This one included; the reason says how many it takes."""
    nights.world.incidents_before = 2
    rule = {"policy": "loud", "incidents": "3 within 1h"}
    night = await begins(nights, service, rule)
    assert night.arrived == ["page to carol"]
    reason = (await night.incident()).escalation.reason
    assert reason == "escalation rule 1 chose 'loud' (incidents of the service: 3 within 1:00:00)"


async def test_incidents_are_counted_again_with_each_page(nights: Nights, service: str):
    """Meanwhile the service had more of them."""
    night = await begins(nights, service, {"policy": "loud", "incidents": "3 within 1h"})
    assert night.arrived == ["page to ada"]
    nights.world.incidents_before = 2
    await night.passes(11 * MINUTE)
    assert night.arrived == ["page to ada", "page to carol"]


async def test_whoever_has_it_is_not_disturbed_by_a_louder_policy(nights: Nights, service: str):
    """It is followed once they have it no more."""
    night = await begins(nights, service, OFTEN, LOUD)
    await night.does("acknowledge", person="ada")
    arrived = night.arrives()
    await night.reported(count=50)
    await night.passes(5 * MINUTE)
    assert arrived() == []
    await night.does("unacknowledge", person="ada")
    await night.passes(11 * MINUTE)
    assert arrived() == ["page to ada", "page to carol"]
    assert (await night.incident()).escalation.policy == "loud"


async def test_a_louder_policy_ends_recoverys_chance_if_it_gives_none(nights: Nights, service: str):
    """A storm is not waited out for half an hour."""
    nights.world.carry_out = only_health_helps
    slow = RESTART.model_copy(update={"settle": 20 * MINUTE})
    patient = {"policy": "patient", "severity": ["medium"]}
    night = await begins(nights, service, OFTEN, LOUD, patient, steps=(slow,))
    assert night.arrived == []
    assert (await night.incident()).escalation.hold.kind == "recovery"
    await night.reported(count=50)
    assert night.arrived == ["page to carol"]


async def test_handed_over_in_the_moment_of_a_louder_policy_they_are_paged(
    nights: Nights, service: str
):
    """The rules are asked again before each page; whom a person named is not forgotten."""
    rule = {"policy": "loud", "incidents": "3 within 1h"}
    night = await begins(nights, service, rule)
    nights.world.incidents_before = 2
    await night.does("reassign", to={"person": "bob"})
    await night.passes(timedelta(seconds=1))
    assert night.arrived == ["page to ada", "page to bob"]
    await night.passes(11 * MINUTE)
    assert night.arrived == ["page to ada", "page to bob", "page to carol"]

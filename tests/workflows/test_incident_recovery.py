"""IncidentWorkflow recovers: step by step, verified, and puts everything back."""

from datetime import timedelta

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.degradation import Degradation
from holdfast.domain.incident_status import IncidentStatus, Resolution
from holdfast.domain.recovery import RecoveryRequest, RecoveryStatus
from holdfast.domain.strategy import Backoff, Step, StepKind
from tests.workflows.policies import FALLBACK, RESTART, ladder, policy_for, report_of
from tests.workflows.world import World, only_health_helps, until
from workflows.breaker import CircuitBreakerWorkflow


async def test_a_verified_restart_resolves_the_incident(world: World, service: str) -> None:
    """The main job: reported, restarted, verified, resolved, and nobody was paged."""
    policy = policy_for(service, RESTART, FALLBACK, escalation=ladder())
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    assert world.events == [
        "incident.opened",
        "escalation.held",
        "step.started",
        "step.succeeded",
        "incident.resolved",
    ]
    assert [request.action_name for request in world.requests] == ["restart"]
    assert world.records[-1].incident.resolution is Resolution.RECOVERED
    assert not world.notifications


async def test_the_common_path_stays_under_forty_events(world: World, service: str) -> None:
    """Detect, restart, verified, resolved: history events are what Temporal charges for."""
    told = await world.report(policy_for(service, RESTART, escalation=ladder()), report_of(service))
    await told.handle.result()
    history = await told.handle.fetch_history()
    assert len(history.events) <= 40


async def test_each_attempt_has_its_own_idempotency_key(world: World, service: str) -> None:
    """A restart that failed is asked for again as a new one, at most as often as the step says."""
    world.carry_out = only_health_helps
    told = await world.report(policy_for(service, RESTART, FALLBACK), report_of(service))
    await told.handle.result()
    keys = [request.id for request in world.requests if request.action]
    assert len(keys) == len(set(keys)) == 3


async def test_the_next_step_follows_when_every_attempt_failed(world: World, service: str) -> None:
    """Strategy order: restart twice, then fallback, which helps."""

    def only_fallback_helps(request: RecoveryRequest) -> RecoveryStatus:
        helps = request.action_name == "fallback"
        return RecoveryStatus.SUCCEEDED if helps else RecoveryStatus.FAILED

    world.carry_out = only_fallback_helps
    told = await world.report(policy_for(service, RESTART, FALLBACK), report_of(service))
    await told.handle.result()
    asked = [request.action_name for request in world.requests]
    assert asked == ["restart", "restart", "fallback"]
    attempts = world.records[-1].incident.attempts
    assert [each.status.value for each in attempts] == ["failed", "failed", "succeeded"]


async def test_a_report_while_settling_makes_the_attempt_fail(
    unhurried_world: World, service: str
) -> None:
    """Verified means: no new report of the fingerprint within the settling time."""
    world = unhurried_world
    quick = RESTART.model_copy(update={"backoff": Backoff(initial=timedelta(milliseconds=100))})
    policy = policy_for(service, quick.model_copy(update={"settle": timedelta(seconds=2)}))
    first = await world.report(policy, report_of(service))
    while "step.failed" not in world.events:
        await world.report(policy, report_of(service))
    await first.handle.result()
    attempts = world.records[-1].incident.attempts
    assert [each.status.value for each in attempts] == ["failed", "succeeded"]
    assert "was reported again within" in attempts[0].reason


async def test_a_refused_action_passes_the_turn_on(world: World, service: str) -> None:
    """A service at its limit would refuse the second attempt too: the next step's turn."""

    def refuse_restart(request: RecoveryRequest) -> RecoveryStatus:
        restart = request.action_name == "restart"
        return RecoveryStatus.REFUSED if restart else RecoveryStatus.SUCCEEDED

    world.carry_out = refuse_restart
    told = await world.report(policy_for(service, RESTART, FALLBACK), report_of(service))
    await told.handle.result()
    assert [request.action_name for request in world.requests] == ["restart", "fallback"]


async def test_a_step_that_the_service_cannot_do_is_skipped(world: World, service: str) -> None:
    """An unknown service has no actions: every such step is passed over, and it is said."""
    known = policy_for(service, RESTART, escalation=ladder())
    told = await world.report(known, report_of("stranger-" + service))
    await told.handle.result()
    assert not world.requests
    assert "step.skipped" in world.events
    assert world.records[-1].incident.known_service is False


async def test_breaker_and_features_come_back_when_it_is_over(world: World, service: str) -> None:
    """What an incident held, its end lets go of; the breaker has to be probed before it closes."""
    policy = policy_for(
        service,
        Step(step=StepKind.OPEN_BREAKER, settle=timedelta(minutes=1)),
        health=False,
    )
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    await until(lambda: len(_breakers(world)) >= 2)
    # Time may go on, and close what nobody probes.
    assert [(each.status, each.epoch) for each in _breakers(world)[:2]] == [
        (BreakerStatus.OPEN, 1),
        (BreakerStatus.HALF_OPEN, 2),
    ]


def _breakers(world: World) -> list[CircuitBreaker]:
    return [record.breaker for record in world.records if record.breaker]


async def test_the_breaker_goes_by_the_rules_that_the_incident_pinned(
    world: World, service: str
) -> None:
    """As the policy file had them when the incident began."""
    policy = policy_for(service, Step(step=StepKind.OPEN_BREAKER), health=False)
    rules = BreakerRules(leases=7)
    known = policy.services[service].model_copy(update={"breaker": rules})
    policy = policy.model_copy(update={"services": {service: known}})
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    breaker = await world.client.get_workflow_handle(f"breaker:{service}").query(
        CircuitBreakerWorkflow.snapshot
    )
    assert breaker.rules == rules


async def test_degrade_turns_features_off_and_on_again(world: World, service: str) -> None:
    """The degrade step holds its level until the incident is over."""
    policy = policy_for(service, Step(step=StepKind.DEGRADE), health=False)
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    await until(lambda: len(_degradations(world)) == 2)
    assert [each.level for each in _degradations(world)] == [1, 0]
    assert _degradations(world)[0].features_off == ("hd", "chat")


def _degradations(world: World) -> list[Degradation]:
    return [record.degradation for record in world.records if record.degradation]


async def test_ignore_only_counts_and_ends_with_quiet(world: World, service: str) -> None:
    """Nothing is done, nobody is paged; the incident ends when reports stay away."""
    policy = policy_for(service, Step(step=StepKind.IGNORE), escalation=ladder(), health=False)
    told = await world.report(policy, report_of(service), count=7)
    await told.handle.result()
    last = world.records[-1].incident
    assert (last.status, last.resolution) == (IncidentStatus.RESOLVED, Resolution.QUIET)
    assert last.report_count == 7
    assert not world.notifications


async def test_a_report_that_came_late_is_not_over_at_once(world: World, service: str) -> None:
    """It tells of a day ago; whether the error stays away is seen from now on."""
    policy = policy_for(service, Step(step=StepKind.ESCALATE), escalation=ladder(), health=False)
    told = await world.report(policy, report_of(service), ago=timedelta(days=1))
    await told.handle.result()
    last = world.records[-1].incident
    assert last.resolution is Resolution.QUIET
    assert last.resolved_at - last.opened_at >= policy.resolve_after_quiet


async def test_quiet_does_not_resolve_what_is_still_unwell(world: World, service: str) -> None:
    """Days pass: silence alone is no health; the incident ends when the check passes."""
    checks = iter([*[RecoveryStatus.FAILED] * 12, RecoveryStatus.SUCCEEDED])
    world.carry_out = lambda _: next(checks)
    policy = policy_for(service, Step(step=StepKind.ESCALATE), escalation=ladder())
    told = await world.report(policy, report_of(service))
    await told.handle.result()
    last = world.records[-1].incident
    assert last.resolution is Resolution.QUIET
    assert last.resolved_at - last.opened_at > timedelta(days=2)

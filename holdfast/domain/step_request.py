"""Owns the way from a strategy's step to what is asked of the service's recovery."""

from holdfast.domain.action import own_timeout
from holdfast.domain.incident import Incident
from holdfast.domain.policy import Plan
from holdfast.domain.recovery import RecoveryRequest
from holdfast.domain.strategy import Step, StepKind
from holdfast.errors import InvalidInput


class StepImpossible(InvalidInput):
    """The service lacks what the step needs; the strategy goes on with its next step."""


def request_of_step(
    step: Step, *, incident: Incident, plan: Plan, place: int, number: int
) -> RecoveryRequest | None:
    """Decide what an attempt of a step asks of the service's recovery.

    Args:
        step: The strategy's step.
        incident: Whose report fills the action's templates in.
        plan: What the incident pinned of the service.
        place: The step's index in the strategy.
        number: The attempt's number, 1 for the first.

    Returns:
        The request; without an action it only waits for health. None when there is nothing to
        ask: a step that acts elsewhere (a breaker, a degradation) on a service without a health
        check.

    Raises:
        StepImpossible: If the service has no such action, or a report lacks what it needs.
    """
    service = plan.service
    action = service.actions.get(step.action_name) if step.step.uses_action else None
    if action is None and step.step.uses_action and step.step is not StepKind.RETRY:
        raise StepImpossible(f"{incident.service} has no action '{step.action_name}'")
    if action is None and service.health is None:
        if step.step is StepKind.RETRY:
            raise StepImpossible(
                f"{incident.service} has neither an action 'retry' nor a health check"
            )
        return None
    try:
        return RecoveryRequest(
            id=f"{incident.id}:{place + 1}:{number}",
            service=incident.service,
            action_name=step.action_name if action else "wait for health",
            action=action.rendered(incident.parameters) if action else None,
            health=service.health.rendered(incident.parameters) if service.health else None,
            timeout=step.timeout or own_timeout(action),
            limit=service.limit,
            incident_id=incident.id,
            reply_to=incident.workflow_id,
        )
    except StepImpossible:
        raise
    except InvalidInput as error:
        raise StepImpossible(str(error), field=error.field) from error

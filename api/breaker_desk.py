"""Owns what people and clients want of breakers: modes, and leases for probe calls."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from api.temporal import UPDATE_PATIENCE, asking, update_with_start
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.breaker_rules import LONGEST_LEASE
from holdfast.domain.lease import Lease, LeaseRequest
from holdfast.domain.model import Model
from holdfast.domain.policy import Policy
from holdfast.domain.references import did_you_mean
from holdfast.errors import NotFound
from workflows.breaker import BreakerInput, CircuitBreakerWorkflow
from workflows.messages import LeaseAnswers, LeaseRequests, SetMode

# Temporal takes so many in one message with ease.
_MOST_AT_ONCE: Final = 500
# What a breaker answered is taken to be so for a moment: every process that would call a service
# asks about once a second.
_KNOWN_FOR: Final = timedelta(milliseconds=500)


class LeaseAnswer(Model):
    """Whether a client may make a probe call.

    Attributes:
        expires_in: How long it has for it; None without a lease.
        reason: Why it may, or may not.
    """

    granted: bool
    expires_in: timedelta | None = None
    reason: str


_Waiting = list[tuple[LeaseRequest, asyncio.Future[LeaseAnswer]]]


class BreakerDesk:
    """Passes wishes on to the services' breakers.

    Args:
        client: Temporal's client.
        policy: Gives the active policy.
        task_queue: Where breakers' workflows run.
        recorded: Gives a service's breaker as far as this process has heard of it.
    """

    def __init__(
        self,
        *,
        client: Client,
        policy: Callable[[], Policy],
        task_queue: str,
        recorded: Callable[[str], CircuitBreaker | None],
    ) -> None:
        self._client = client
        self._policy = policy
        self._task_queue = task_queue
        self._recorded = recorded
        # By service: who waits for the next message, while one is under way.
        self._waiting: dict[str, _Waiting] = {}
        # By service: what a half-open breaker answered, and until when, on the loop's clock, that
        # is taken to be so.
        self._answers: dict[str, tuple[LeaseAnswers, float]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def set_mode(
        self,
        service: str,
        mode: BreakerStatus | None,
        *,
        by: str,
        reason: str,
        until: datetime | None,
    ) -> CircuitBreaker:
        """Hold a breaker's status, or let the breaker decide again.

        Args:
            service: One that the policy file or the record knows.
            mode: One of the operator's; None gives the breaker back to itself.
            by: Who wants it, as the record shows it.
            reason: Why.
            until: When it ends by itself; None for never.

        Returns:
            The breaker with it.

        Raises:
            NotFound: If nobody knows the service.
            InvalidInput: If it would be over before it began.
            Unavailable: If Temporal or its workers gave no answer in time.
        """
        services = self._policy().services
        if service not in services and self._recorded(service) is None:
            hint = did_you_mean(service, services)
            raise NotFound(f"neither the policy file nor the record knows '{service}'{hint}")
        rules = self._policy().breaker_rules(service)
        message = SetMode(
            service=service, mode=mode, by=by, reason=reason, until=until, rules=rules
        )
        start = WithStartWorkflowOperation(
            CircuitBreakerWorkflow.run,
            BreakerInput(service=service),
            id=workflow_id(service),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"breaker of {service}",
        )
        return await update_with_start(
            self._client,
            CircuitBreakerWorkflow.set_mode,
            message,
            start=start,
            workflow_id=workflow_id(service),
        )

    async def lease(self, service: str, request: LeaseRequest) -> LeaseAnswer:
        """Ask for the right to make one probe call.

        What is asked together goes to the breaker in one message, with at most one under way. The
        breaker isn't asked where the answer is known: an epoch that is over never comes back, and
        a breaker is half-open for the whole of an epoch or not at all. Who knows of a later epoch
        than this process is always passed on.

        Raises:
            Unavailable: If Temporal or its workers gave no answer in time.
        """
        if refusal := self._refusal(service, request):
            return LeaseAnswer(granted=False, reason=refusal)
        answer: asyncio.Future[LeaseAnswer] = asyncio.get_running_loop().create_future()
        if service in self._waiting:
            self._waiting[service].append((request, answer))
            return await answer
        self._waiting[service] = [(request, answer)]
        serving = asyncio.create_task(self._serve(service), name=f"leases of {service}")
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        return await answer

    def _refusal(self, service: str, request: LeaseRequest) -> str | None:
        """Why a request is refused without asking; None if the breaker is to be asked."""
        told, until = self._answers.get(service, (None, 0.0))
        if told and _now() < until and told.epoch >= request.epoch:
            is_open_to_it = told.epoch == request.epoch and None not in told.leases
            return None if is_open_to_it else _refused(request, told.status, told.epoch)
        breaker = self._recorded(service)
        if breaker is None or request.epoch > breaker.epoch:
            return None
        is_half_open = breaker.status is BreakerStatus.HALF_OPEN
        if is_half_open and request.epoch == breaker.epoch:
            return None
        return _refused(request, breaker.status, breaker.epoch)

    async def _serve(self, service: str) -> None:
        """Ask for those that wait, until none does."""
        waiting = self._waiting[service]
        while waiting:
            batch = waiting[:_MOST_AT_ONCE]
            del waiting[:_MOST_AT_ONCE]
            try:
                answers = await self._answered(service, tuple(request for request, _ in batch))
            except Exception as error:  # noqa: BLE001  # each of those who wait raises it
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), given in zip(batch, answers, strict=True):
                if not answer.done():
                    answer.set_result(given)
        del self._waiting[service]

    async def _answered(
        self, service: str, requests: tuple[LeaseRequest, ...]
    ) -> list[LeaseAnswer]:
        told = await self._ask(service, requests)
        self._remember(service, told)
        return [
            _answer(request, lease, told)
            for request, lease in zip(requests, told.leases, strict=True)
        ]

    def _remember(self, service: str, told: LeaseAnswers) -> None:
        now = _now()
        self._answers = {name: each for name, each in self._answers.items() if now < each[1]}
        if told.status is BreakerStatus.HALF_OPEN:
            self._answers[service] = told, now + _KNOWN_FOR.total_seconds()

    async def _ask(self, service: str, requests: tuple[LeaseRequest, ...]) -> LeaseAnswers:
        handle = self._client.get_workflow_handle(workflow_id(service))
        try:
            with asking(workflow_id(service)):
                return await handle.execute_update(
                    CircuitBreakerWorkflow.lease,
                    LeaseRequests(requests=requests),
                    rpc_timeout=UPDATE_PATIENCE,
                )
        except NotFound:
            # Nothing ever opened it, whatever the client has heard.
            return LeaseAnswers(
                leases=(None,) * len(requests), status=BreakerStatus.CLOSED, epoch=0
            )


def workflow_id(service: str) -> str:
    """The id of the workflow that has a service's breaker."""
    return f"breaker:{service}"


def _answer(request: LeaseRequest, lease: Lease | None, told: LeaseAnswers) -> LeaseAnswer:
    if lease is None:
        return LeaseAnswer(granted=False, reason=_refused(request, told.status, told.epoch))
    # Clocks differ: a lease that seems longer than any is as long as the longest.
    left = min(max(lease.expires_at - datetime.now(UTC), timedelta(0)), LONGEST_LEASE)
    return LeaseAnswer(granted=True, expires_in=left, reason="one probe call")


def _refused(request: LeaseRequest, status: BreakerStatus, epoch: int) -> str:
    if request.epoch != epoch:
        return f"the breaker is {status} in epoch {epoch}, not in epoch {request.epoch}"
    if status is not BreakerStatus.HALF_OPEN:
        return f"the breaker is {status} and lets no probe calls through"
    return "all probe calls are given out; ask again in a while"


def _now() -> float:
    return asyncio.get_running_loop().time()

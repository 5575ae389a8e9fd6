"""Owns recovery of one service: one action at a time, equal requests share it, and a limit.

A pure queue. Its workflow adds what is requested, takes what may run, and tells it the result.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field, JsonValue

from holdfast.domain.action import HealthCheck, RecoveryAction
from holdfast.domain.audit import SYSTEM
from holdfast.domain.model import Duration, Model, Name

REMEMBERED_OUTCOMES = 100


class RecoveryLimit(Model):
    """So many automatic actions on one service within a window, lest recovery become the storm."""

    actions: int = Field(5, ge=1, le=1000)
    within: Duration = timedelta(minutes=10)


class RecoveryRequest(Model):
    """Asks for one action on a service.

    Attributes:
        id: Unique; asking twice with one id is asking once.
        action: What to do, its templates filled in; None only waits for health to return.
        timeout: For the action.
        manual: Asked by a person: runs past the limit, and counts.
        reply_to: The incident workflow that wants to be told the outcome.
    """

    id: str
    service: Name
    action_name: str
    action: RecoveryAction | None = None
    health: HealthCheck | None = None
    timeout: Duration = timedelta(minutes=1)
    limit: RecoveryLimit = RecoveryLimit()
    manual: bool = False
    actor: str = SYSTEM
    incident_id: str | None = None
    reply_to: str | None = None

    @property
    def key(self) -> str:
        """Two requests with the same key ask for the same thing."""
        target = self.action.model_dump_json() if self.action else ""
        check = self.health.url if self.health else ""
        parts = f"{self.action_name}\x1f{target}\x1f{check}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


class RecoveryStatus(StrEnum):
    """How a requested action ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"


class RecoveryResult(Model):
    """What carrying a run out gave: the action's own answer and the health that was seen."""

    status: RecoveryStatus
    reason: str
    detail: dict[str, JsonValue] = Field(default_factory=dict)


class RecoveryOutcome(Model):
    """The answer to one request.

    Attributes:
        shared: Whether another request's run served this one too.
    """

    request_id: str
    action_name: str
    status: RecoveryStatus
    reason: str
    shared: bool = False
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime


class RecoveryRun(Model):
    """One carrying-out of an action, for all the requests that share it.

    Attributes:
        id: Its first request's id, and the idempotency key that the service is sent.
    """

    requests: tuple[RecoveryRequest, ...] = Field(min_length=1)
    started_at: AwareDatetime | None = None

    @property
    def id(self) -> str:
        """The run's identity."""
        return self.requests[0].id

    @property
    def request(self) -> RecoveryRequest:
        """What is to be done; the requests of a run differ only in who asks."""
        return self.requests[0]

    @property
    def manual(self) -> bool:
        """Whether a person is among those who asked."""
        return any(request.manual for request in self.requests)

    def serves(self, request_id: str) -> bool:
        """Whether a request is among those that it is for."""
        return any(request.id == request_id for request in self.requests)

    def outcomes(self, result: RecoveryResult, *, at: datetime) -> tuple[RecoveryOutcome, ...]:
        """One answer for each request."""
        return tuple(
            RecoveryOutcome(
                request_id=request.id,
                action_name=request.action_name,
                status=result.status,
                reason=result.reason,
                shared=request is not self.requests[0],
                started_at=self.started_at,
                finished_at=at,
            )
            for request in self.requests
        )


class TicketStatus(StrEnum):
    """What became of a request when it was made."""

    QUEUED = "queued"
    SHARED = "shared"
    KNOWN = "known"


class Ticket(Model):
    """The immediate answer to a request: whether it waits, shares another's run, or was known."""

    request_id: str
    run_id: str
    status: TicketStatus
    ahead: int = 0


class RecoveryState(Model):
    """A service's recovery: what runs, what waits, and what was done lately.

    Attributes:
        acted_at: When actions began within the limit's window.
        fallback_since: Set while the service runs on its fallback.
    """

    service: Name
    running: RecoveryRun | None = None
    queue: tuple[RecoveryRun, ...] = ()
    acted_at: tuple[AwareDatetime, ...] = ()
    outcomes: tuple[RecoveryOutcome, ...] = ()
    fallback_since: AwareDatetime | None = None

    def requested(self, request: RecoveryRequest) -> tuple[Self, Ticket]:
        """Add a request: it joins an equal one's run, or waits for its own."""
        known = next((each for each in self.outcomes if each.request_id == request.id), None)
        if known:
            return self, Ticket(request_id=request.id, run_id=request.id, status=TicketStatus.KNOWN)
        ahead = ([self.running] if self.running else []) + list(self.queue)
        for place, run in enumerate(ahead):
            if run.request.key == request.key or run.serves(request.id):
                return self._joined(run, request), Ticket(
                    request_id=request.id, run_id=run.id, status=TicketStatus.SHARED, ahead=place
                )
        queue = (*self.queue, RecoveryRun(requests=(request,)))
        ticket = Ticket(
            request_id=request.id, run_id=request.id, status=TicketStatus.QUEUED, ahead=len(ahead)
        )
        return self.model_copy(update={"queue": queue}), ticket

    def _joined(self, run: RecoveryRun, request: RecoveryRequest) -> Self:
        if run.serves(request.id):
            return self
        joined = run.model_copy(update={"requests": (*run.requests, request)})
        if run is self.running:
            return self.model_copy(update={"running": joined})
        queue = tuple(joined if each is run else each for each in self.queue)
        return self.model_copy(update={"queue": queue})

    def taken(self, now: datetime) -> tuple[Self, RecoveryResult | None]:
        """Make the first waiting run the running one.

        Returns:
            The new state, and a refusal when the service's limit forbids the run; the caller
            finishes a refused run with it at once.

        Raises:
            ValueError: If something runs already, or nothing waits.
        """
        if self.running or not self.queue:
            raise ValueError(f"{self.service}: something runs already, or nothing waits")
        run = self.queue[0].model_copy(update={"started_at": now})
        limit = run.request.limit
        if run.request.action is None:
            return self.model_copy(update={"running": run, "queue": self.queue[1:]}), None
        lately = tuple(at for at in self.acted_at if at > now - limit.within)
        refusal = None
        if not run.manual and len(lately) >= limit.actions:
            again = lately[-limit.actions] + limit.within
            refusal = RecoveryResult(
                status=RecoveryStatus.REFUSED,
                reason=f"{limit.actions} actions on {self.service} within {limit.within} are the "
                f"limit; the next may run at {again.isoformat(timespec='seconds')}",
            )
        else:
            lately = (*lately, now)
        state = {"running": run, "queue": self.queue[1:], "acted_at": lately}
        return self.model_copy(update=state), refusal

    def finished(
        self, result: RecoveryResult, *, at: datetime
    ) -> tuple[Self, RecoveryRun, tuple[RecoveryOutcome, ...]]:
        """End the running run.

        Returns:
            The new state, the run as it was, and one outcome for each of its requests.

        Raises:
            ValueError: If nothing runs.
        """
        run = self.running
        if run is None:
            raise ValueError(f"nothing runs on {self.service}")
        outcomes = run.outcomes(result, at=at)
        state = {
            "running": None,
            "outcomes": (*self.outcomes, *outcomes)[-REMEMBERED_OUTCOMES:],
            "fallback_since": self._fallback_after(run, result, at),
        }
        return self.model_copy(update=state), run, outcomes

    def _fallback_after(
        self, run: RecoveryRun, result: RecoveryResult, at: datetime
    ) -> datetime | None:
        if result.status is not RecoveryStatus.SUCCEEDED:
            return self.fallback_since
        match run.request.action_name:
            case "fallback":
                return self.fallback_since or at
            case "restore":
                return None
            case _:
                return self.fallback_since

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self.running is None and not self.queue

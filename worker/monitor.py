"""Owns the monitor: it reads how the fleets' calls go, and trips the breakers of what fails.

Every worker has one, and one of them is at work; from another that takes its place nothing is
lost, because what was told lies in PostgreSQL. A breaker is told of an edge only, and takes a
repeat for what it is: a trip names the epoch that went badly.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from time import monotonic
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError

from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.outcome import verdict
from holdfast.domain.policy import Policy
from holdfast.errors import Unavailable
from storage.notifications import Listener, Message
from storage.outcomes import OUTCOMES_TOLD, OutcomeLedger
from storage.seat import MONITOR, Seat
from workflows.breaker import BreakerInput, CircuitBreakerWorkflow
from workflows.messages import TripBreaker

log = structlog.get_logger(__name__)

# All is looked at so often: a window can also go bad because its good calls grow old.
_EVERY: Final = timedelta(seconds=1)
# Between two looks at what was told of: what comes meanwhile is looked at together. Of a large
# fleet a look takes long, so that it rests for three times as long as it took, up to a limit.
_BETWEEN: Final = timedelta(milliseconds=50)
_REST: Final = 3
_LONGEST_REST: Final = timedelta(milliseconds=500)
# Its record may be late; that it took no notice of a trip is the exception.
AGAIN: Final = timedelta(seconds=3)
_PATIENCE: Final = timedelta(seconds=2)

Trip = Callable[[TripBreaker], Awaitable[None]]


class Monitor:
    """Watches the outcomes of guarded calls while this process has the seat.

    Args:
        engine: Where the outcomes are, and the seat.
        policy: Gives the present policy.
        trip: Tells a breaker; raises ``Unavailable`` if it can't be told now.
        again: When a breaker that was told and has not changed is told again.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        policy: Callable[[], Policy],
        trip: Trip,
        again: timedelta = AGAIN,
    ) -> None:
        self._seat = Seat(engine, MONITOR)
        self._ledger = OutcomeLedger(engine)
        self._policy = policy
        self._trip = trip
        self._again = again
        self._listener = Listener(
            engine, [OUTCOMES_TOLD], on_message=self._hear, on_connect=self._catch_up
        )
        self._named: set[str] = set()
        self._all_due = False
        self._due = asyncio.Event()
        # When each edge may be told again, by service and epoch.
        self._not_before: dict[tuple[str, int], float] = {}
        self._task: asyncio.Task[None] | None = None
        self.is_watching = False

    async def start(self) -> None:
        """Begin to watch as soon as the seat is free."""
        self._task = asyncio.create_task(self._keep_watching(), name="monitor")

    async def stop(self) -> None:
        """Stop, and give the seat to another."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _keep_watching(self) -> None:
        try:
            while True:
                try:
                    if await self._seat.held():
                        await self._watch()
                except Exception as error:  # noqa: BLE001  # the task's edge: the next may go well
                    log.warning("the monitor begins again", why=repr(error))
                await asyncio.sleep(_EVERY.total_seconds())
        finally:
            self._seat.leave()

    async def _watch(self) -> None:
        """Watch for as long as the seat is this process's."""
        log.info("this worker's monitor is at work")
        listening = asyncio.create_task(self._listener.run(), name="outcomes")
        self.is_watching = True
        try:
            while await self._seat.held():
                await self._look_at_all()
                await self._follow()
        finally:
            self.is_watching = False
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _hear(self, message: Message) -> None:
        if message.payload:
            self._named.update(message.payload.split(","))
        else:
            self._all_due = True
        self._due.set()

    async def _catch_up(self) -> None:
        self._all_due = True
        self._due.set()

    async def _follow(self) -> None:
        """Look at what is told of, until it is time to look at all."""
        until = monotonic() + _EVERY.total_seconds()
        while not self._all_due and (left := until - monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._due.wait()
            except TimeoutError:
                return
            self._due.clear()
            named, self._named = self._named, set()
            began = monotonic()
            await self._look(named)
            await _rest(since=began)

    async def _look_at_all(self) -> None:
        self._due.clear()
        self._all_due = False
        self._named.clear()
        now = monotonic()
        self._not_before = {edge: at for edge, at in self._not_before.items() if at > now}
        await self._look(await self._ledger.troubled(within=self._policy().longest_window))
        await _rest(since=now)

    async def _look(self, services: Iterable[str]) -> None:
        """Judge services, and trip the breakers of those whose calls go badly."""
        policy = self._policy()
        rules = {service: policy.breaker_rules(service) for service in services}
        if not rules:
            return
        trips = [
            TripBreaker(
                service=window.service,
                epoch=window.epoch,
                reason=reason,
                rules=rules[window.service],
            )
            for window in await self._ledger.windows(rules)
            if window.status is BreakerStatus.CLOSED
            if (reason := verdict(rules[window.service], window.by_reporter))
        ]
        await asyncio.gather(*(self._tell(each) for each in trips))

    async def _tell(self, trip: TripBreaker) -> None:
        edge = trip.service, trip.epoch
        if monotonic() < self._not_before.get(edge, 0):
            return
        log.warning("a breaker trips", service=trip.service, why=trip.reason)
        try:
            await self._trip(trip)
        except Unavailable as error:
            again = _EVERY
            log.warning("a breaker cannot be told to trip", service=trip.service, why=str(error))
        else:
            again = self._again
        self._not_before[edge] = monotonic() + again.total_seconds()


async def _rest(*, since: float) -> None:
    """Leave PostgreSQL to others for a while after a look that began then."""
    rest = min(_REST * (monotonic() - since), _LONGEST_REST.total_seconds())
    await asyncio.sleep(max(rest, _BETWEEN.total_seconds()))


def tripping(client: Client, task_queue: str) -> Trip:
    """What tells a service's breaker to trip, and starts its workflow if it never ran."""

    async def trip(message: TripBreaker) -> None:
        try:
            await client.start_workflow(
                CircuitBreakerWorkflow.run,
                BreakerInput(service=message.service),
                id=f"breaker:{message.service}",
                task_queue=task_queue,
                start_signal=CircuitBreakerWorkflow.trip.__name__,
                start_signal_args=[message],
                static_summary=f"breaker of {message.service}",
                rpc_timeout=_PATIENCE,
            )
        except RPCError as error:
            raise Unavailable(f"Temporal did not take the trip: {error}") from error

    return trip

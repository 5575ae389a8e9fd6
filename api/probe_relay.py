"""Owns the way of probe results to their breakers; who tells one does not wait for Temporal."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.breaker_desk import workflow_id
from holdfast.domain.outcome import ProbeResult
from workflows.breaker import CircuitBreakerWorkflow
from workflows.messages import ProbeResults

log = structlog.get_logger(__name__)

_PATIENCE: Final = timedelta(seconds=2)
# After this many tries the lease may be another's; the breaker does without the result then.
_TRIES: Final = 4
_BETWEEN: Final = timedelta(milliseconds=500)
# Leases are few, so that more than this under way is somebody's mistake.
_MOST: Final = 1000


class ProbeRelay:
    """Signals breakers how leased calls went; a result that comes twice counts once there."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._under_way: set[asyncio.Task[None]] = set()

    def pass_on(self, results: Sequence[ProbeResult]) -> None:
        """Put results on their way, those of one breaker together."""
        by_service: defaultdict[str, list[ProbeResult]] = defaultdict(list)
        for each in results:
            by_service[each.service].append(each)
        for service, own in by_service.items():
            if len(self._under_way) >= _MOST:
                log.warning("probe results are dropped: too many are under way", service=service)
                return
            task = asyncio.create_task(self._tell(service, ProbeResults(results=tuple(own))))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def stop(self) -> None:
        """Give up what is under way: the leases run out by themselves."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, service: str, message: ProbeResults) -> None:
        breaker = self._client.get_workflow_handle(workflow_id(service))
        for tries in range(1, _TRIES + 1):
            try:
                await breaker.signal(CircuitBreakerWorkflow.probed, message, rpc_timeout=_PATIENCE)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND or tries == _TRIES:
                    log.info("a probe's result is dropped", service=service, why=error.message)
                    return
                await asyncio.sleep(_BETWEEN.total_seconds())
            else:
                return

"""Owns the API's questions to workflows, and what Temporal's errors mean to who asks the API."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

import structlog
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode, ServiceClient
from temporalio.workflow import UpdateMethodMultiParam

from holdfast.errors import (
    Conflict,
    Forbidden,
    HoldfastError,
    IncidentAlreadyResolved,
    InvalidInput,
    NotFound,
    Unavailable,
)

log = structlog.get_logger(__name__)

QUERY_PATIENCE: Final = timedelta(seconds=2)
UPDATE_PATIENCE: Final = timedelta(seconds=5)

# A workflow refuses with the name of one of these as the error's type.
_REFUSALS: Final = {
    kind.__name__: kind
    for kind in (Conflict, Forbidden, IncidentAlreadyResolved, InvalidInput, NotFound)
}

# A call's own timeout does not cover the connecting before it.
_CONNECTING: Final = timedelta(seconds=2)

Answer = TypeVar("Answer")
Message = TypeVar("Message")


def unconnected(client: Client) -> Client:
    """A client that was made with ``lazy``, whose failure to connect is an ``RPCError`` too.

    The SDK raises ``RuntimeError`` from the first calls while nothing listens, waits without end
    where packets are dropped, and then leaves an update-with-start's handle waiting for ever.
    """
    config = client.config()
    config["service_client"] = _Connecting(config["service_client"])
    return Client(**config)


class _Connecting(ServiceClient):
    """Passes every call on, and says of the unreachable what gRPC says."""

    def __init__(self, inner: ServiceClient) -> None:
        super().__init__(inner.config)
        self._inner = inner

    @property
    def worker_service_client(self) -> Any:
        """The client below, which only workers use."""
        return self._inner.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """Pass it on."""
        self._inner.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """Pass it on."""
        self._inner.update_api_key(api_key)

    async def _rpc_call(
        self,
        rpc: str,
        req: Any,
        resp_type: Any,
        *,
        timeout: timedelta | None,  # noqa: ASYNC109  # the base class's
        **rest: Any,
    ) -> Any:
        limit = (timeout + _CONNECTING).total_seconds() if timeout else None
        try:
            async with asyncio.timeout(limit):
                call = self._inner._rpc_call  # noqa: SLF001  # the one method to implement
                return await call(rpc, req, resp_type, timeout=timeout, **rest)
        except RuntimeError as error:
            message = f"nothing answers at {self.config.target_host}"
            raise RPCError(message, RPCStatusCode.UNAVAILABLE, b"") from error
        except TimeoutError as error:
            message = f"no connection within {limit} s"
            raise RPCError(message, RPCStatusCode.DEADLINE_EXCEEDED, b"") from error


@contextmanager
def asking(whom: str) -> Iterator[None]:
    """Turn what Temporal raises into Holdfast's own errors.

    Args:
        whom: The workflow, for messages.

    Raises:
        NotFound: If no such workflow runs.
        HoldfastError: The workflow's own refusal.
        Unavailable: If Temporal can't be reached, or no worker answered in time.
    """
    try:
        yield
    except WorkflowUpdateFailedError as error:
        raise _refusal(error.cause) from error
    except RPCTimeoutOrCancelledError as error:
        raise Unavailable(f"{whom} gave no answer in time: no worker may be running") from error
    except WorkflowQueryFailedError as error:
        raise Unavailable(f"{whom} cannot answer: {error.message}") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotFound(f"{whom} does not run") from error
        raise Unavailable(f"Temporal did not answer for {whom}: {error.message}") from error


def _refusal(cause: BaseException) -> HoldfastError:
    if isinstance(cause, ApplicationError):
        kind = _REFUSALS.get(cause.type or "", Conflict)
        return kind(cause.message)
    return Conflict(f"the workflow ended before it answered: {cause}")


async def forget(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    """Consume a failed start's handle, or asyncio complains that nobody asked for it."""
    try:
        await operation.workflow_handle()
    except RPCError as error:
        log.debug("the start failed with its update", why=str(error))


async def update_with_start(
    client: Client,
    update: UpdateMethodMultiParam[[Any, Message], Answer],
    message: Message,
    *,
    start: WithStartWorkflowOperation[Any, Any],
    workflow_id: str,
    update_id: str | None = None,
) -> Answer:
    """Tell a workflow something and wait for its answer, starting it if it does not run.

    Args:
        client: Temporal's.
        update: The workflow's.
        message: What it is told.
        start: How it is started.
        workflow_id: Whom, for messages.
        update_id: Telling twice under one id is telling once; None for a new one.

    Raises:
        HoldfastError: As with :func:`asking`.
    """
    try:
        with asking(workflow_id):
            answer: Answer = await client.execute_update_with_start_workflow(
                update,
                message,
                start_workflow_operation=start,
                id=update_id,
                rpc_timeout=UPDATE_PATIENCE,
            )
            return answer
    except Unavailable:
        await forget(start)
        raise


async def ask(
    client: Client,
    query: Callable[[Any], Answer],
    workflow_id: str,
    *,
    run_id: str | None = None,
) -> Answer:
    """Ask a workflow for its present state.

    Raises:
        NotFound: If no such workflow runs.
        Unavailable: If Temporal or its workers gave no answer in time.
    """
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    with asking(workflow_id):
        answer: Answer = await handle.query(query, rpc_timeout=QUERY_PATIENCE)
        return answer

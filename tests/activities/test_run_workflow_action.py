import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.actions.outcome import NotDone
from activities.actions.run_workflow import WorkflowActions, workflow_id
from holdfast.domain.action import WorkflowAction
from tests.activities.user_workflows import (
    MoveInVain,
    MoveNothing,
    MoveOnSignal,
    MoveStream,
    move_stream,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def client(temporal_server):
    return temporal_server.client


@pytest.fixture
def key():
    return f"incident-1:1:{uuid4()}"


@pytest_asyncio.fixture
async def users_queue(client):
    """A task queue that the user's own worker serves."""
    async with Worker(
        client,
        task_queue=f"users-{uuid4()}",
        workflows=[MoveStream, MoveNothing, MoveInVain, MoveOnSignal],
        activities=[move_stream],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ) as worker:
        yield worker.task_queue


@pytest.fixture
def perform(client, key):
    async def perform(workflow, task_queue, *, within=MINUTE, **fields):
        action = WorkflowAction.model_validate(
            {"kind": "run_workflow", "workflow": workflow, "task_queue": task_queue} | fields
        )
        return await WorkflowActions(client).perform(action, key=key, within=within)

    return perform


async def wait_until_started(client, key):
    """Wait for the run to exist; its handle."""
    handle = client.get_workflow_handle(workflow_id(key))
    async with asyncio.timeout(10):
        while not await exists(handle):
            await asyncio.sleep(0.01)
    return handle


async def exists(handle):
    try:
        await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def test_the_users_workflow_gets_json_and_its_result_is_kept(perform, users_queue, key):
    """Plain JSON in and out, so that the workflow may be in any language."""
    done = await perform("MoveStream", users_queue, input={"stream": "7"})
    assert done.summary == "workflow MoveStream completed"
    assert json.loads(str(done.detail["result"]))["moved"] == "7"
    assert done.detail["workflow_id"] == f"action:{key}"


async def test_without_an_input_it_is_started_without_arguments(perform, users_queue):
    """A workflow that takes nothing would refuse a null."""
    done = await perform("MoveNothing", users_queue)
    assert done.detail["result"] is None


async def test_a_repeat_finds_the_run_that_ended_before(perform, users_queue):
    """After the worker's crash the same key is asked again: what was done is not done twice."""
    first = await perform("MoveStream", users_queue, input={"stream": "7"})
    second = await perform("MoveStream", users_queue, input={"stream": "7"})
    assert second.detail["result"] == first.detail["result"]


async def test_a_repeat_joins_the_run_that_is_still_going(perform, users_queue, client, key):
    """Two askers, one run, one result."""
    first = asyncio.create_task(perform("MoveOnSignal", users_queue))
    handle = await wait_until_started(client, key)
    second = asyncio.create_task(perform("MoveOnSignal", users_queue))
    await handle.signal("go")
    for done in (await first, await second):
        assert done.detail["result"] == '"moved at last"'


async def test_a_failure_says_what_the_users_code_said(perform, users_queue):
    """Not "Activity task failed", which Temporal wraps around it."""
    with pytest.raises(
        NotDone, match=r"^workflow MoveInVain failed: .*no encoder is free for 7$"
    ) as caught:
        await perform("MoveInVain", users_queue, input={"stream": "7"})
    assert caught.value.detail["workflow"] == "MoveInVain"


async def test_a_run_that_failed_before_is_not_run_again(perform, users_queue):
    """A key has one run, now or ever; trying again is a new attempt's, with a new key."""
    for _ in range(2):
        with pytest.raises(NotDone, match="no encoder is free"):
            await perform("MoveInVain", users_queue, input={"stream": "7"})


async def test_without_a_worker_it_ends_with_its_time(perform, client, key):
    """Temporal itself ends the run, so that it doesn't start long after anybody wanted it."""
    queue = f"nobody-{uuid4()}"
    with pytest.raises(NotDone, match=f"no result within 0.5 s; .* task queue {queue}"):
        await perform("MoveStream", queue, input={}, within=timedelta(seconds=0.5))
    described = await client.get_workflow_handle(workflow_id(key)).describe()
    assert described.status is WorkflowExecutionStatus.TIMED_OUT


async def test_a_terminated_run_is_a_failure(perform, users_queue, client, key):
    """Somebody ended it in the Temporal UI."""
    running = asyncio.create_task(perform("MoveOnSignal", users_queue))
    handle = await wait_until_started(client, key)
    await handle.terminate("not now")
    with pytest.raises(NotDone, match="workflow MoveOnSignal failed: "):
        await running


async def test_cancelling_the_recovery_cancels_the_users_workflow(
    perform, users_queue, client, key, activity_environment
):
    """Nothing runs on once nobody wants it any more."""
    running = asyncio.ensure_future(activity_environment.run(perform, "MoveOnSignal", users_queue))
    handle = await wait_until_started(client, key)
    activity_environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(NotDone, match=r"failed: .*[Cc]ancelled"):
        await perform("MoveOnSignal", users_queue)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_stopping_worker_leaves_the_users_workflow_alone(
    perform, users_queue, client, key, activity_environment
):
    """The next worker waits for the same run."""
    running = asyncio.ensure_future(activity_environment.run(perform, "MoveOnSignal", users_queue))
    handle = await wait_until_started(client, key)
    activity_environment.cancel(ActivityCancellationDetails(worker_shutdown=True))
    with pytest.raises(asyncio.CancelledError):
        await running
    await handle.signal("go")
    assert await handle.result() == "moved at last"
    history = await handle.fetch_history()
    asked = "workflow_execution_cancel_requested_event_attributes"
    assert not any(event.HasField(asked) for event in history.events)

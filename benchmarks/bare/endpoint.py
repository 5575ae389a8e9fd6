"""The bare endpoint: ``python -m benchmarks.bare.endpoint TEMPORAL_ADDRESS PORT``."""

import asyncio
import sys
from typing import Annotated

import uvicorn
from fastapi import Body, FastAPI
from pydantic import BaseModel, Field
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from benchmarks.bare.errand import TASK_QUEUE, Errand
from benchmarks.bare.workflow import BareWorkflow


class Context(BaseModel):
    """What the measuring program asks of the bare workflow; Holdfast sees and ignores the same."""

    local_activities: int
    post_to: str


class Error(BaseModel):
    """An error as both peers are told it."""

    service: str
    error_type: str
    message: str = Field(max_length=4000)
    fingerprint: str
    category: str
    context: Context


class Opened(BaseModel):
    """The run that has the error."""

    run_id: str


def create_app(client: Client) -> FastAPI:
    """One route, which answers once the workflow has taken the error."""
    app = FastAPI()

    @app.post("/errors", status_code=202)
    async def report(error: Annotated[Error, Body()]) -> Opened:
        start = WithStartWorkflowOperation(
            BareWorkflow.run,
            id=f"bare:{error.service}:{error.fingerprint}",
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        errand = Errand(report=error.model_dump(), **error.context.model_dump())
        run_id = await client.execute_update_with_start_workflow(
            BareWorkflow.report, errand, start_workflow_operation=start
        )
        return Opened(run_id=run_id)

    return app


async def main(address: str, port: str) -> None:
    """Serve on loopback until killed."""
    app = create_app(await Client.connect(address))
    config = uvicorn.Config(app, port=int(port), access_log=False, log_level="warning")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

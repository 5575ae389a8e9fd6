"""The bare worker: ``python -m benchmarks.bare.worker TEMPORAL_ADDRESS``, until it is killed."""

import asyncio
import sys

import httpx
from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.bare.activities import PostActivities, do_nothing
from benchmarks.bare.errand import TASK_QUEUE
from benchmarks.bare.workflow import BareWorkflow


async def main(address: str) -> None:
    """Work with the SDK's defaults."""
    client = await Client.connect(address)
    async with httpx.AsyncClient() as http:
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[BareWorkflow],
            activities=[do_nothing, PostActivities(http).post],
        )
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Owns the two peers as the measuring program sees them: an HTTP endpoint and its workflows."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from benchmarks.histories import Event, events
from benchmarks.receiver import Receiver


@dataclass(frozen=True)
class Error:
    """A distinct error: its key is its fingerprint, and the receiver's name for it."""

    key: str
    service: str
    category: str


@dataclass(frozen=True)
class Peer:
    """One of the two.

    Attributes:
        url: Where it is told of errors.
        prefix: Its workflows' ids are ``<prefix>:<service>:<fingerprint>``.
        processes: The process ids that work for it, by part; the Temporal server is among them.
    """

    name: str
    url: str
    prefix: str
    processes: dict[str, int]
    http: aiohttp.ClientSession
    client: Client
    receiver: Receiver

    async def tell(self, error: Error, *, local_activities: int) -> float:
        """Report an error and wait for the answer.

        Returns:
            When the request was sent, in seconds since the epoch.
        """
        body = report_body(error, local_activities=local_activities, receiver=self.receiver.url)
        sent = time.time()
        async with self.http.post(self.url, json=body, raise_for_status=True) as answer:
            await answer.read()
        return sent

    async def history(self, error: Error) -> list[Event]:
        """All events of an error's workflow."""
        return await events(self.client, self._workflow_id(error))

    async def clear(self, errors: Iterable[Error], *, after: timedelta) -> None:
        """End the workflows that still run, once they had time to finish what they were at."""
        await asyncio.sleep(after.total_seconds())
        for error in errors:
            try:
                await self.client.get_workflow_handle(self._workflow_id(error)).terminate()
            except RPCError as refusal:
                if refusal.status is not RPCStatusCode.NOT_FOUND:
                    raise

    def _workflow_id(self, error: Error) -> str:
        return f"{self.prefix}:{error.service}:{error.key}"


def report_body(error: Error, *, local_activities: int, receiver: str) -> dict[str, object]:
    """What either peer is told: the same, so that both carry the same weight.

    Args:
        error: The error.
        local_activities: How many of them the bare workflow runs first.
        receiver: Where the bare workflow posts to.
    """
    return {
        "service": error.service,
        "error_type": "StreamProcessDied",
        "message": "the encoder of channel news exited with code 137",
        "fingerprint": error.key,
        "category": error.category,
        "context": {"local_activities": local_activities, "post_to": f"{receiver}/{error.key}"},
    }

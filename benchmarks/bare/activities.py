"""Owns the bare workflow's activities: one that does nothing, and one that posts a report."""

from dataclasses import dataclass

import httpx
from temporalio import activity

from benchmarks.bare.errand import Errand


@activity.defn
async def do_nothing() -> None:
    """Stand where Holdfast's workflow has a local activity."""


@dataclass(frozen=True)
class PostActivities:
    """Tells a receiver, over one shared HTTP client."""

    http: httpx.AsyncClient

    @activity.defn
    async def post(self, errand: Errand) -> int:
        """Post the report once; gives the answer's status."""
        answer = await self.http.post(errand.post_to, json=errand.report)
        return answer.raise_for_status().status_code

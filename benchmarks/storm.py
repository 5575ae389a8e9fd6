"""Measures a storm: one error, reported as fast as the API takes it, and counted exactly."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from benchmarks.arena import Arena
from benchmarks.conditions import until
from benchmarks.histories import counts
from benchmarks.latency import distinct
from benchmarks.peer import Error, report_body
from benchmarks.policy import PAGED
from benchmarks.result import Fact, Result
from benchmarks.size import Size

BATCH = 100
_SENDERS = 16
_ALERTMANAGER = (
    "Alertmanager, not in this run but measured earlier on a two-core machine, keeping nothing: "
    "10,000/s one by one, 117,000/s in batches of 100"
)
_COUNTED_WITHIN = timedelta(seconds=20)


@dataclass
class _Storm:
    """What a storm brought.

    Attributes:
        accepted: Reports that were answered as safe.
        incident_ids: What the answers named; one, if all is well.
    """

    accepted: int
    incident_ids: set[str]
    seconds: float


async def storm(arena: Arena, size: Size) -> Result:
    """Reports a second of one fingerprint, one by one and in batches."""
    facts = []
    for name, batch in (("one by one", 1), (f"in batches of {BATCH}", BATCH)):
        error = distinct(PAGED)
        blown = await _blow(arena, error, batch=batch, lasting=size.storm)
        await _require_exact(arena, blown)
        updates = counts(await arena.holdfast.history(error))["WORKFLOW_EXECUTION_UPDATE_ACCEPTED"]
        facts += [
            Fact(f"reports {name}", blown.accepted / blown.seconds, "/s"),
            Fact(f"reports {name}: taken and counted, exactly", blown.accepted, ""),
            Fact(f"reports {name}: updates that Temporal saw", updates, ""),
        ]
        await arena.holdfast.clear([error], after=timedelta(0))
    return Result(
        "Storm of one error",
        facts=facts,
        notes=[
            f"{_SENDERS} connections of one Python process, {size.storm.total_seconds():g} s each",
            _ALERTMANAGER,
        ],
    )


async def _blow(arena: Arena, error: Error, *, batch: int, lasting: timedelta) -> _Storm:
    report = report_body(error, local_activities=0, receiver=arena.receiver.url)
    body = [report] * batch if batch > 1 else report
    found = _Storm(0, set(), 0.0)
    started = time.monotonic()
    end = started + lasting.total_seconds()
    send = partial(arena.http.post, arena.holdfast.url, json=body, raise_for_status=True)

    async def keep_sending() -> None:
        while time.monotonic() < end:
            async with send() as answer:
                results = (await answer.json())["results"]
            found.accepted += sum(each["accepted"] for each in results)
            found.incident_ids |= {each["incident_id"] for each in results if "incident_id" in each}

    await asyncio.gather(*(keep_sending() for _ in range(_SENDERS)))
    found.seconds = time.monotonic() - started
    return found


async def _require_exact(arena: Arena, blown: _Storm) -> None:
    """Wait until the incident has counted all reports, not one more or less.

    Raises:
        TimeoutError: If it has not in time.
    """
    [incident_id] = blown.incident_ids
    url = f"{arena.api_url}/errors/{incident_id}"

    async def counted() -> bool:
        async with arena.http.get(url, raise_for_status=True) as answer:
            told = int((await answer.json())["report_count"])
        return told == blown.accepted

    await until(counted, within=_COUNTED_WITHIN)

"""Owns the numbers on how recovery goes: attempts, successes, and the times that things take."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, Field
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.incident_status import Resolution
from holdfast.domain.model import Model
from storage.database import transaction

_STEPS = text("""
    SELECT category, detail ->> 'step' AS step,
        GROUPING(category) = 0 AS of_category, GROUPING(detail ->> 'step') = 0 AS of_step,
        count(*) FILTER (WHERE event = 'step.succeeded') AS succeeded,
        count(*) FILTER (WHERE event = 'step.failed') AS failed,
        count(*) FILTER (WHERE event = 'step.skipped') AS skipped
    FROM audit
    WHERE event IN ('step.succeeded', 'step.failed', 'step.skipped')
        AND at >= :since AND at < :until
    GROUP BY GROUPING SETS ((category), (detail ->> 'step'), ())
""")

_OPENED = text("SELECT count(*) FROM incidents WHERE opened_at >= :since AND opened_at < :until")

_RESOLVED = text("""
    SELECT resolution, count(*) AS total FROM incidents
    WHERE resolved_at >= :since AND resolved_at < :until
    GROUP BY resolution
""")

_DURATIONS = text("""
    WITH ended AS (
        SELECT 'to_acknowledge' AS name, acknowledged_at - opened_at AS duration FROM incidents
        WHERE acknowledged_at >= :since AND acknowledged_at < :until
        UNION ALL
        SELECT 'to_recover', resolved_at - opened_at FROM incidents
        WHERE resolved_at >= :since AND resolved_at < :until AND resolution = 'recovered'
        UNION ALL
        SELECT 'to_resolve', resolved_at - opened_at FROM incidents
        WHERE resolved_at >= :since AND resolved_at < :until
    )
    SELECT name, count(*) AS count, avg(duration) AS mean,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY duration) AS p50,
        percentile_cont(0.95) WITHIN GROUP (ORDER BY duration) AS p95
    FROM ended GROUP BY name
""")


class StepCounts(Model):
    """How attempts of recovery steps ended.

    Attributes:
        attempts: Those that ended well or badly; a skipped one was never made.
        success_rate: The share that ended well, 0 to 1; None without attempts.
    """

    attempts: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    success_rate: float | None = None


class Durations(Model):
    """How long something took, over several incidents.

    Attributes:
        count: How many incidents; without any, the rest is None.
        p50: Half of them took no longer, interpolated between neighbours.
        p95: 95 of 100 took no longer.
    """

    count: int = 0
    mean: timedelta | None = None
    p50: timedelta | None = None
    p95: timedelta | None = None


class RecoveryStatistics(Model):
    """How recovery went within a window of time.

    Attributes:
        since: The window's first moment.
        until: The first moment after it.
        steps: All attempts together.
        opened: Incidents that opened within the window.
        resolved: Incidents that ended within it, whenever they opened.
        to_acknowledge: From opening until a person took it, where that was within the window.
        to_recover: From opening until recovery was verified.
        to_resolve: From opening until the end, whatever ended it.
    """

    since: AwareDatetime
    until: AwareDatetime
    steps: StepCounts = StepCounts()
    by_category: dict[str, StepCounts] = Field(default_factory=dict)
    by_step: dict[str, StepCounts] = Field(default_factory=dict)
    opened: int = 0
    resolved: int = 0
    by_resolution: dict[Resolution, int] = Field(default_factory=dict)
    to_acknowledge: Durations = Durations()
    to_recover: Durations = Durations()
    to_resolve: Durations = Durations()


class Statistics:
    """Sums over the audit log and the incidents."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def recovery(self, window: timedelta, *, now: datetime) -> RecoveryStatistics:
        """How recovery went in the window that ends now."""
        span = {"since": now - window, "until": now}
        async with transaction(self._engine) as connection:
            steps = (await connection.execute(_STEPS, span)).mappings().all()
            opened = await connection.scalar(_OPENED, span)
            resolved = {
                row.resolution: row.total for row in await connection.execute(_RESOLVED, span)
            }
            durations = (await connection.execute(_DURATIONS, span)).mappings().all()
        fields: dict[str, Any] = {
            row["name"]: Durations.model_validate(dict(row)) for row in durations
        }
        return RecoveryStatistics.model_validate(
            {
                **span,
                **_steps(steps),
                **fields,
                "opened": opened,
                "resolved": sum(resolved.values()),
                "by_resolution": resolved,
            }
        )


def _steps(rows: Iterable[RowMapping]) -> dict[str, Any]:
    by_category: dict[str, StepCounts] = {}
    by_step: dict[str, StepCounts] = {}
    total = StepCounts()
    for row in rows:
        if row["of_category"]:
            by_category[row["category"] or "unknown"] = _counts(row)
        elif row["of_step"]:
            by_step[row["step"] or "unknown"] = _counts(row)
        else:
            total = _counts(row)
    return {"steps": total, "by_category": by_category, "by_step": by_step}


def _counts(row: RowMapping) -> StepCounts:
    attempts = row["succeeded"] + row["failed"]
    return StepCounts(
        attempts=attempts,
        succeeded=row["succeeded"],
        failed=row["failed"],
        skipped=row["skipped"],
        success_rate=row["succeeded"] / attempts if attempts else None,
    )

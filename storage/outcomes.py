"""Owns the ledger of outcomes: how guarded calls went lately, by reporter and second.

The seconds are those of PostgreSQL's clock at the time of writing: the clocks of processes differ,
and a window is read by the clock by which it was written.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.outcome import Outcomes
from storage.database import statement
from storage.notifications import MAX_PAYLOAD_BYTES

# Tells the services of which calls failed or were slow, with commas between them; nothing in it
# means that they were too many to name.
OUTCOMES_TOLD = "holdfast_outcomes"

# In one order everywhere: two processes that add to the same rows must not deadlock. Grouped,
# because a row whose epoch is looked up here may meet one that came with it.
_ADD = text("""
    WITH added AS (
        INSERT INTO outcomes (service, epoch, second, reporter, calls, failures, slow)
        SELECT told.service,
            coalesce(told.epoch, CAST(entities.snapshot ->> 'epoch' AS bigint), 0) AS in_epoch,
            date_trunc('second', now()), told.reporter,
            sum(told.calls), sum(told.failures), sum(told.slow)
        FROM unnest(
            CAST(:services AS text[]), CAST(:reporters AS text[]), CAST(:epochs AS bigint[]),
            CAST(:calls AS bigint[]), CAST(:failures AS bigint[]), CAST(:slow AS bigint[])
        ) AS told (service, reporter, epoch, calls, failures, slow)
        LEFT JOIN entities ON entities.kind = 'breaker' AND entities.service = told.service
        GROUP BY told.service, in_epoch, told.reporter
        ORDER BY told.service, in_epoch, told.reporter
        ON CONFLICT (service, epoch, second, reporter) DO UPDATE SET
            calls = outcomes.calls + excluded.calls,
            failures = outcomes.failures + excluded.failures,
            slow = outcomes.slow + excluded.slow
    )
    SELECT pg_notify(:channel, CAST(:payload AS text)) WHERE CAST(:payload AS text) IS NOT NULL
""")

# `newer` is how many calls the seconds after this one had: the newest count first. The second in
# which a window begins counts whole, so that no window is shorter than its rule.
_WINDOWS = text("""
    WITH asked AS (
        SELECT asked.service, asked.span, asked.most,
            coalesce(CAST(entities.snapshot ->> 'epoch' AS bigint), 0) AS epoch,
            coalesce(entities.snapshot ->> 'status', 'closed') AS status
        FROM unnest(
            CAST(:services AS text[]), CAST(:spans AS interval[]), CAST(:most AS bigint[])
        ) AS asked (service, span, most)
        LEFT JOIN entities ON entities.kind = 'breaker' AND entities.service = asked.service
    ), seconds AS (
        SELECT asked.service, asked.epoch, asked.status, asked.most,
            outcomes.reporter, outcomes.calls, outcomes.failures, outcomes.slow,
            sum(outcomes.calls) OVER (
                PARTITION BY asked.service ORDER BY outcomes.second DESC
                GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS newer
        FROM asked JOIN outcomes ON outcomes.service = asked.service
            AND outcomes.epoch = asked.epoch
            AND outcomes.second >= date_trunc('second', now()) - asked.span
    )
    SELECT service, epoch, status, reporter, CAST(sum(calls) AS bigint) AS calls,
        CAST(sum(failures) AS bigint) AS failures, CAST(sum(slow) AS bigint) AS slow
    FROM seconds
    WHERE most IS NULL OR coalesce(newer, 0) < most
    GROUP BY service, epoch, status, reporter
    ORDER BY service, reporter
""")

_TROUBLED = text("""
    SELECT DISTINCT service FROM outcomes
    WHERE (failures > 0 OR slow > 0)
        AND second >= date_trunc('second', now()) - CAST(:within AS interval)
    ORDER BY service
""")

# Some at a time, so that however many there are, each statement ends in time. By their places,
# as a lookup in the primary key would cost as much as the deleting.
_FORGET = text("""
    DELETE FROM outcomes WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM outcomes WHERE second < now() - CAST(:age AS interval)
        LIMIT :most
        FOR UPDATE SKIP LOCKED
    ))
""")
_FORGOTTEN_AT_ONCE = 5000


class ToldOutcomes(NamedTuple):
    """What a reporter told of a service's calls.

    Attributes:
        epoch: The breaker's epoch in which the calls were admitted; None for the present one.
    """

    service: str
    reporter: str
    epoch: int | None
    outcomes: Outcomes


class OutcomeWindow(NamedTuple):
    """How a service's calls went within the window of its rules, in its breaker's present epoch.

    Attributes:
        status: The breaker's, as the record has it.
    """

    service: str
    epoch: int
    status: BreakerStatus
    by_reporter: dict[str, Outcomes]

    @property
    def total(self) -> Outcomes:
        """The sums over all reporters."""
        return sum(self.by_reporter.values(), Outcomes())


class OutcomeLedger:
    """What was told of guarded calls, for as long as it counts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, told: Sequence[ToldOutcomes]) -> None:
        """Add to the present second's sums, and tell who listens if calls failed or were slow.

        Raises:
            Unavailable: If PostgreSQL cannot take it now.
        """
        columns: dict[str, Any] = {
            "services": [each.service for each in told],
            "reporters": [each.reporter for each in told],
            "epochs": [each.epoch for each in told],
            "calls": [each.outcomes.calls for each in told],
            "failures": [each.outcomes.failures for each in told],
            "slow": [each.outcomes.slow for each in told],
        }
        message = {"channel": OUTCOMES_TOLD, "payload": _payload(told)}
        async with statement(self._engine) as connection:
            await connection.execute(_ADD, columns | message)

    async def windows(self, rules: Mapping[str, BreakerRules]) -> list[OutcomeWindow]:
        """The windows of services, by their rules; one without calls is left out.

        Of a window that is limited to so many calls, the second that reaches the number counts
        whole.
        """
        asked: dict[str, Any] = {
            "services": list(rules),
            "spans": [each.window for each in rules.values()],
            "most": [each.window_calls for each in rules.values()],
        }
        async with statement(self._engine) as connection:
            rows = (await connection.execute(_WINDOWS, asked)).all()
        windows: dict[str, OutcomeWindow] = {}
        for service, epoch, status, reporter, calls, failures, slow in rows:
            if service not in windows:
                windows[service] = OutcomeWindow(service, epoch, BreakerStatus(status), {})
            # Sums of many may pass what a single telling is held to.
            outcomes = Outcomes.model_construct(calls=calls, failures=failures, slow=slow)
            windows[service].by_reporter[reporter] = outcomes
        return list(windows.values())

    async def troubled(self, *, within: timedelta) -> list[str]:
        """The services of which calls failed or were slow lately, by name."""
        async with statement(self._engine) as connection:
            return list(await connection.scalars(_TROUBLED, {"within": within}))

    async def forget(self, *, age: timedelta, most: int = _FORGOTTEN_AT_ONCE) -> bool:
        """Delete what is older.

        Args:
            age: Than this.
            most: How many rows at once; others may delete others of them meanwhile.

        Returns:
            Whether there may be more of it.
        """
        async with statement(self._engine) as connection:
            deleted = await connection.execute(_FORGET, {"age": age, "most": most})
        return deleted.rowcount == most


def _payload(told: Sequence[ToldOutcomes]) -> str | None:
    """What listeners are told; None if that is nothing."""
    troubled = {each.service for each in told if each.outcomes.failures or each.outcomes.slow}
    if not troubled:
        return None
    payload = ",".join(sorted(troubled))
    return payload if len(payload.encode()) <= MAX_PAYLOAD_BYTES else ""

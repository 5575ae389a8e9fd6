"""Owns the durable intake: reports that were taken and are not counted in an incident yet.

A row is added, gathered with its neighbours into a batch, sent to its incident, and settled. Which
rows make a batch is fixed in the table before the batch is sent: its id is the id under which the
incident's workflow takes it once, so a batch that is sent again after a crash must hold exactly
the same rows. Claims keep two processes from working on the same rows; they end by PostgreSQL's
clock, because those of processes differ.

A request that may come again brings a receipt, which is written with its rows: what a client sends
once more because it got no answer is counted once, also after its rows were settled.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from pydantic import AwareDatetime, Field
from sqlalchemy import RowMapping, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from holdfast.domain.model import Model
from holdfast.domain.report import Report, ReportBatch
from storage.database import statement, transaction

# Arrays, so that any number of rows is one statement that PostgreSQL has parsed before.
_ADD = text("""
    WITH answered AS (
        INSERT INTO receipts (id) SELECT unnest(CAST(:receipts AS uuid[]))
    )
    INSERT INTO intake (
        id, workflow_id, service, fingerprint, sample, count, first_at, last_at, batch_id,
        claimed_until
    )
    SELECT id, workflow_id, service, fingerprint, sample::jsonb, count, first_at, last_at, batch_id,
        now() + CAST(:lease AS interval)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:workflow_ids AS text[]), CAST(:services AS text[]),
        CAST(:fingerprints AS text[]), CAST(:samples AS text[]), CAST(:counts AS bigint[]),
        CAST(:first_ats AS timestamptz[]), CAST(:last_ats AS timestamptz[]),
        CAST(:batch_ids AS uuid[])
    ) AS added (
        id, workflow_id, service, fingerprint, sample, count, first_at, last_at, batch_id
    )
    ON CONFLICT (id) DO NOTHING
""")

# SKIP LOCKED and the check of batch_id after locking make two gatherers split the rows.
_GATHER = text("""
    WITH waiting AS MATERIALIZED (
        SELECT id, workflow_id FROM intake
        WHERE workflow_id = ANY(CAST(:workflow_ids AS text[])) AND batch_id IS NULL
        ORDER BY id
        FOR UPDATE SKIP LOCKED
    ), heads AS (
        SELECT DISTINCT ON (workflow_id) workflow_id, id FROM waiting ORDER BY workflow_id, id
    ), members AS (
        UPDATE intake SET batch_id = heads.id, claimed_until = now() + CAST(:lease AS interval)
        FROM waiting JOIN heads USING (workflow_id)
        WHERE intake.id = waiting.id
        RETURNING intake.id, intake.batch_id, intake.count, intake.first_at, intake.last_at
    ), folded AS (
        SELECT batch_id, CAST(sum(count) AS bigint) AS count, min(first_at) AS first_at,
            max(last_at) AS last_at,
            (array_agg(id ORDER BY id DESC))[1] AS latest_id
        FROM members GROUP BY batch_id
    )
    SELECT CAST(folded.batch_id AS text) AS id, latest.fingerprint, latest.sample, folded.count,
        folded.first_at, folded.last_at
    FROM folded JOIN intake AS latest ON latest.id = folded.latest_id
    ORDER BY folded.batch_id
""")

# Only heads are locked: locking every row of a batch in two processes could deadlock them.
_TAKE_OVER = text("""
    WITH due AS MATERIALIZED (
        SELECT id FROM intake
        WHERE batch_id = id AND claimed_until < now()
        ORDER BY claimed_until
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), heads AS (
        UPDATE intake SET claimed_until = now() + CAST(:lease AS interval)
        FROM due WHERE intake.id = due.id
        RETURNING intake.id
    ), folded AS (
        SELECT batch_id, CAST(sum(count) AS bigint) AS count, min(first_at) AS first_at,
            max(last_at) AS last_at,
            (array_agg(intake.id ORDER BY intake.id DESC))[1] AS latest_id
        FROM intake JOIN heads ON intake.batch_id = heads.id
        GROUP BY batch_id
    )
    SELECT CAST(folded.batch_id AS text) AS id, latest.fingerprint, latest.sample, folded.count,
        folded.first_at, folded.last_at
    FROM folded JOIN intake AS latest ON latest.id = folded.latest_id
    ORDER BY folded.batch_id
""")

_FORGOTTEN_WORKFLOWS = text("""
    SELECT workflow_id FROM intake
    WHERE batch_id IS NULL AND claimed_until < now()
    GROUP BY workflow_id
    ORDER BY min(claimed_until)
    LIMIT :limit
""")

_SETTLE = text("DELETE FROM intake WHERE batch_id = ANY(CAST(:batch_ids AS uuid[]))")
_FORGET = text("DELETE FROM intake WHERE id = ANY(CAST(:ids AS uuid[]))")

_REPEATED = text("SELECT CAST(id AS text) FROM receipts WHERE id = ANY(CAST(:receipts AS uuid[]))")
_REMEMBER = text("""
    INSERT INTO receipts (id) SELECT unnest(CAST(:receipts AS uuid[])) ON CONFLICT DO NOTHING
""")
# Some at a time, so that however many there are, each statement ends in time.
_FORGET_RECEIPTS = text("""
    DELETE FROM receipts WHERE id IN (
        SELECT id FROM receipts WHERE taken_at < now() - CAST(:age AS interval)
        ORDER BY taken_at
        LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
""")

_WAITING = text("""
    SELECT count(*) AS rows, CAST(coalesce(sum(count), 0) AS bigint) AS reports,
        min(first_at) AS oldest_at
    FROM intake
""")


# Longer than any client keeps a request that it got no answer to.
RECEIPTS_KEPT = timedelta(hours=25)
_FORGOTTEN_AT_ONCE = 5000
_UNIQUE_VIOLATION = "23505"


class RequestsRepeated(Exception):
    """Some of the requests were taken before; nothing was added."""


class IntakeRow(Model):
    """Reports of one fingerprint that came together, as one row.

    Attributes:
        id: A UUID that grows with time (version 7); made by who takes the report.
        sample: The latest of them.
        batch_id: The batch it belongs to, None until it is gathered; a batch is named after its
            oldest row.
    """

    id: str
    workflow_id: str
    service: str
    fingerprint: str
    sample: Report
    count: int = Field(1, ge=1)
    first_at: AwareDatetime
    last_at: AwareDatetime
    batch_id: str | None = None


class IntakeBacklog(Model):
    """How much was taken and is not counted in an incident yet; grows while Temporal is away.

    Attributes:
        reports: The rows' counts added up.
        oldest_at: When the oldest of them was taken; None when nothing waits.
    """

    rows: int
    reports: int
    oldest_at: AwareDatetime | None = None


class Intake:
    """The intake table."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(
        self, rows: Sequence[IntakeRow], *, lease: timedelta, receipts: Sequence[str] = ()
    ) -> None:
        """Write rows durably, all or none; a row whose id is known already is passed over.

        Args:
            rows: What was taken.
            lease: How long they are the caller's to gather before others may.
            receipts: UUIDs of the requests that brought them and may come again.

        Raises:
            RequestsRepeated: Some of the receipts are known.
        """
        if not rows:
            return
        columns: dict[str, Any] = {
            "ids": [row.id for row in rows],
            "workflow_ids": [row.workflow_id for row in rows],
            "services": [row.service for row in rows],
            "fingerprints": [row.fingerprint for row in rows],
            "samples": [row.sample.model_dump_json() for row in rows],
            "counts": [row.count for row in rows],
            "first_ats": [row.first_at for row in rows],
            "last_ats": [row.last_at for row in rows],
            "batch_ids": [row.batch_id for row in rows],
            # In one order, so that two processes never wait for each other.
            "receipts": sorted(receipts),
        }
        try:
            async with statement(self._engine) as connection:
                await connection.execute(_ADD, columns | {"lease": lease})
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) != _UNIQUE_VIOLATION:
                raise
            raise RequestsRepeated from error

    async def repeated(self, receipts: Sequence[str]) -> list[str]:
        """Those of them that are known."""
        async with statement(self._engine) as connection:
            return list(await connection.scalars(_REPEATED, {"receipts": list(receipts)}))

    async def remember(self, receipts: Sequence[str]) -> None:
        """Know the receipts of requests that were taken without the intake's help."""
        async with statement(self._engine) as connection:
            await connection.execute(_REMEMBER, {"receipts": sorted(receipts)})

    async def forget_receipts(self, *, most: int = _FORGOTTEN_AT_ONCE) -> bool:
        """Let go of receipts whose requests won't come again.

        Args:
            most: Of how many at once.

        Returns:
            Whether there may be more of them.
        """
        limits = {"age": RECEIPTS_KEPT, "most": most}
        async with statement(self._engine) as connection:
            return (await connection.execute(_FORGET_RECEIPTS, limits)).rowcount == most

    async def gather(self, workflow_id: str, *, lease: timedelta) -> ReportBatch | None:
        """Make all rows of a workflow that have no batch one batch, for good.

        Args:
            workflow_id: Whose rows.
            lease: How long the batch is the caller's to send before others may.

        Returns:
            The batch, or None when no row was left; others may have gathered them.
        """
        async with statement(self._engine) as connection:
            batches = await _gathered(connection, [workflow_id], lease=lease)
        return batches[0] if batches else None

    async def settle(self, batch_ids: Sequence[str]) -> None:
        """Delete batches that their incidents have counted."""
        async with statement(self._engine) as connection:
            await connection.execute(_SETTLE, {"batch_ids": list(batch_ids)})

    async def forget(self, row_ids: Sequence[str]) -> None:
        """Delete rows whose reports reached their incidents without the intake's help."""
        async with statement(self._engine) as connection:
            await connection.execute(_FORGET, {"ids": list(row_ids)})

    async def abandoned(self, *, limit: int, lease: timedelta) -> list[ReportBatch]:
        """Take over what nobody has sent within its lease, each batch as it was fixed.

        Args:
            limit: How many batches at the most; those that were fixed before come first.
            lease: How long they are the caller's to send.
        """
        async with transaction(self._engine) as connection:
            taken = await connection.execute(_TAKE_OVER, {"limit": limit, "lease": lease})
            batches = _batches(taken.mappings())
            room = {"limit": limit - len(batches)}
            workflow_ids = list(await connection.scalars(_FORGOTTEN_WORKFLOWS, room))
            if workflow_ids:
                batches += await _gathered(connection, workflow_ids, lease=lease)
        return batches

    async def waiting(self) -> IntakeBacklog:
        """How much waits."""
        async with statement(self._engine) as connection:
            row = (await connection.execute(_WAITING)).mappings().one()
        return IntakeBacklog.model_validate(dict(row))


async def _gathered(
    connection: AsyncConnection, workflow_ids: Sequence[str], *, lease: timedelta
) -> list[ReportBatch]:
    parameters = {"workflow_ids": list(workflow_ids), "lease": lease}
    return _batches((await connection.execute(_GATHER, parameters)).mappings())


def _batches(rows: Iterable[RowMapping]) -> list[ReportBatch]:
    return [ReportBatch.model_validate(dict(row)) for row in rows]

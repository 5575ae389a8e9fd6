"""What was taken is kept, leaves in batches that never change, and is counted once."""

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from storage.database import create_engine, transaction
from storage.intake import Intake, RequestsRepeated
from tests.storage.samples import LEASE, NO_LEASE, NOW, a_report, a_row, time_ordered_id


@pytest.fixture
def intake(engine):
    return Intake(engine)


async def test_gather_folds_all_rows_of_a_workflow(intake):
    first = a_row(count=2, at=NOW - timedelta(seconds=5))
    last = a_row(count=3, sample=a_report(message="the latest"))
    await intake.add([first, last, a_row("another")], lease=LEASE)

    batch = await intake.gather(first.workflow_id, lease=LEASE)

    assert batch.id == first.id
    assert batch.fingerprint == "f1"
    assert batch.sample == last.sample
    assert batch.count == 5
    assert (batch.first_at, batch.last_at) == (first.first_at, last.last_at)


async def test_a_sample_comes_back_as_it_was_told(intake):
    report = a_report(
        context={"channel": 7, "nested": {"list": [1, 2.5, None, "ä\t\U0001f600"], "big": 2**70}},
        labels={"region": "eu"},
        stack=("a.py:1", "b.py:2"),
        occurred_at=NOW,
    )
    row = a_row(sample=report)
    await intake.add([row], lease=LEASE)
    assert (await intake.gather(row.workflow_id, lease=LEASE)).sample == report


async def test_nothing_is_gathered_twice(intake):
    row = a_row()
    await intake.add([row], lease=LEASE)
    assert await intake.gather(row.workflow_id, lease=LEASE)
    assert await intake.gather(row.workflow_id, lease=LEASE) is None


async def test_adding_nothing_is_nothing(intake):
    await intake.add([], lease=LEASE)
    assert (await intake.waiting()).rows == 0


async def test_a_known_id_is_passed_over(intake):
    """A commit whose answer got lost may be tried again."""
    row, other = a_row(), a_row()
    await intake.add([row], lease=LEASE)
    await intake.add([row, other], lease=LEASE)
    assert (await intake.waiting()).reports == 2


async def test_settled_batches_are_gone(intake):
    row, kept = a_row(), a_row("another")
    await intake.add([row, a_row(), kept], lease=LEASE)
    batch = await intake.gather(row.workflow_id, lease=LEASE)
    await intake.settle([batch.id])
    backlog = await intake.waiting()
    assert (backlog.rows, backlog.reports, backlog.oldest_at) == (1, 1, kept.first_at)


async def test_an_empty_intake_has_no_backlog(intake):
    backlog = await intake.waiting()
    assert (backlog.rows, backlog.reports, backlog.oldest_at) == (0, 0, None)


async def test_gathering_at_once_splits_the_rows(intake, database_url):
    """Two processes add and gather side by side; each report is in exactly one batch."""
    other_engine = create_engine(database_url)
    others = Intake(other_engine)
    workflow_id = a_row().workflow_id
    batches = []

    async def work(intake, number):
        for each in range(10):
            await intake.add([a_row(count=number + each + 1) for _ in range(5)], lease=LEASE)
            if batch := await intake.gather(workflow_id, lease=LEASE):
                batches.append(batch)

    await asyncio.gather(*(work(each, n) for n in range(8) for each in (intake, others)))
    while rest := await intake.gather(workflow_id, lease=LEASE):
        batches.append(rest)

    assert len({batch.id for batch in batches}) == len(batches)
    expected = sum(5 * (n + each + 1) for n in range(8) for each in range(10)) * 2
    assert sum(batch.count for batch in batches) == expected
    assert (await intake.waiting()).reports == expected
    await intake.settle([batch.id for batch in batches])
    assert (await intake.waiting()).rows == 0
    await other_engine.dispose()


async def test_an_abandoned_batch_comes_back_identical(intake):
    """What came later is another batch, however often the first is taken over."""
    row = a_row(count=2)
    await intake.add([row, a_row(count=3), a_row(count=4)], lease=NO_LEASE)
    batch = await intake.gather(row.workflow_id, lease=NO_LEASE)
    await intake.add([a_row(count=7)], lease=LEASE)

    assert await intake.abandoned(limit=10, lease=NO_LEASE) == [batch]
    assert await intake.abandoned(limit=10, lease=NO_LEASE) == [batch]


async def test_a_batch_that_was_fixed_when_added_comes_back(intake):
    key = time_ordered_id()
    await intake.add([a_row(id=key, batch_id=key, count=4)], lease=NO_LEASE)
    [batch] = await intake.abandoned(limit=10, lease=LEASE)
    assert (batch.id, batch.count) == (key, 4)


async def test_abandoned_rows_are_gathered_by_workflow(intake):
    rows = [a_row("f1"), a_row("f2"), a_row("f1"), a_row("f2"), a_row("f1")]
    await intake.add(rows, lease=NO_LEASE)
    batches = await intake.abandoned(limit=10, lease=LEASE)
    assert {batch.fingerprint: batch.count for batch in batches} == {"f1": 3, "f2": 2}
    assert [batch.id for batch in batches] == [rows[0].id, rows[1].id]


async def test_what_is_claimed_is_not_abandoned(intake):
    await intake.add([a_row()], lease=LEASE)
    gathered = a_row("f2")
    await intake.add([gathered], lease=NO_LEASE)
    await intake.gather(gathered.workflow_id, lease=LEASE)
    assert await intake.abandoned(limit=10, lease=LEASE) == []


async def test_taking_over_renews_the_claim(intake):
    row = a_row()
    await intake.add([row, a_row("f2")], lease=NO_LEASE)
    await intake.gather(row.workflow_id, lease=NO_LEASE)
    assert len(await intake.abandoned(limit=10, lease=LEASE)) == 2
    assert await intake.abandoned(limit=10, lease=LEASE) == []


async def test_at_most_the_limit_is_taken_over(intake):
    rows = [a_row(f"f{n}") for n in range(6)]
    await intake.add(rows, lease=NO_LEASE)
    for row in rows[:2]:
        await intake.gather(row.workflow_id, lease=NO_LEASE)
    taken = await intake.abandoned(limit=3, lease=LEASE)
    assert [batch.fingerprint for batch in taken][:2] == ["f0", "f1"]
    assert len(taken) == 3
    assert len(await intake.abandoned(limit=10, lease=LEASE)) == 3


async def test_taking_over_at_once_splits_the_batches(intake, database_url):
    """A batch that was fixed goes to one of the processes, whole; rows without one may be split."""
    other_engine = create_engine(database_url)
    intakes = [intake, Intake(other_engine)]
    rows = [a_row(f"f{n % 40}", count=2) for n in range(400)]
    await intake.add(rows, lease=NO_LEASE)
    fixed_ids = [row.id for row in rows[:20]]
    for row in rows[:20]:
        await intake.gather(row.workflow_id, lease=NO_LEASE)

    async def sweep(intake):
        while taken := await intake.abandoned(limit=3, lease=LEASE):
            batches.extend(taken)

    batches = []
    await asyncio.gather(*(sweep(each) for each in intakes * 3))
    fixed = [batch for batch in batches if batch.id in fixed_ids]
    assert sorted(batch.id for batch in fixed) == sorted(fixed_ids)
    assert {batch.count for batch in fixed} == {20}
    counts = Counter()
    for batch in batches:
        counts[batch.fingerprint] += batch.count
    assert counts == {f"f{n}": 20 for n in range(40)}
    await other_engine.dispose()


async def test_settling_while_others_take_over_leaves_no_part_of_a_batch(intake):
    """A batch is taken over whole or not at all."""
    rows = [a_row(f"f{n % 20}") for n in range(200)]
    await intake.add(rows, lease=NO_LEASE)
    batches = [await intake.gather(row.workflow_id, lease=NO_LEASE) for row in rows[:20]]
    seen = []

    async def take_over():
        for _ in range(20):
            seen.extend(await intake.abandoned(limit=20, lease=NO_LEASE))

    async def settle():
        for batch in batches:
            await intake.settle([batch.id])

    await asyncio.gather(take_over(), take_over(), settle())
    assert {batch.count for batch in seen} <= {10}
    assert (await intake.waiting()).rows == 0


async def test_a_request_that_was_taken_before_adds_nothing(intake):
    """All or none: also not the rows of requests that came together with it."""
    first, second = str(uuid4()), str(uuid4())
    await intake.add([a_row()], lease=LEASE, receipts=[first])
    with pytest.raises(RequestsRepeated):
        await intake.add([a_row(), a_row("f2")], lease=LEASE, receipts=[first, second])
    assert (await intake.waiting()).reports == 1
    assert await intake.repeated([first, second]) == [first]


async def test_a_receipt_outlives_the_rows_it_came_with(intake):
    receipt, row = str(uuid4()), a_row()
    await intake.add([row], lease=LEASE, receipts=[receipt])
    batch = await intake.gather(row.workflow_id, lease=LEASE)
    await intake.settle([batch.id])
    with pytest.raises(RequestsRepeated):
        await intake.add([a_row()], lease=LEASE, receipts=[receipt])


async def test_of_one_request_taken_twice_at_once_one_is_kept(intake, database_url):
    """Two processes got it: the client gave the first one up too early."""
    other_engine = create_engine(database_url)
    receipt = str(uuid4())
    taken = await asyncio.gather(
        *(
            each.add([a_row()], lease=LEASE, receipts=[receipt])
            for each in [intake, Intake(other_engine)] * 4
        ),
        return_exceptions=True,
    )
    assert [type(each) for each in taken if each].count(RequestsRepeated) == 7
    assert (await intake.waiting()).reports == 1
    await other_engine.dispose()


async def test_receipts_can_be_handed_in_later_and_twice(intake):
    """What Temporal took while PostgreSQL was away is known once it is back."""
    receipts = [str(uuid4()), str(uuid4())]
    await intake.remember(receipts[:1])
    await intake.remember(receipts)
    assert set(await intake.repeated(receipts)) == set(receipts)


async def test_receipts_are_kept_for_a_day(intake, engine):
    old, young = str(uuid4()), str(uuid4())
    await intake.remember([old, young])
    async with transaction(engine) as connection:
        aged = "UPDATE receipts SET taken_at = now() - CAST(:age AS interval) WHERE id = :id"
        await connection.execute(text(aged), {"id": old, "age": timedelta(hours=26)})
        await connection.execute(text(aged), {"id": young, "age": timedelta(hours=24)})
    await intake.forget_receipts()
    assert await intake.repeated([old, young]) == [young]


async def test_old_receipts_are_let_go_of_some_at_a_time(intake, engine):
    """However many there are, each statement ends in time."""
    await intake.remember([str(uuid4()) for _ in range(5)])
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE receipts SET taken_at = now() - interval '2 days'"))
    assert [await intake.forget_receipts(most=2) for _ in range(3)] == [True, True, False]
    async with transaction(engine) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM receipts")) == 0


async def test_counts_add_up_beyond_what_an_integer_holds(intake):
    """A thousand entries of a million each are one request."""
    row, other = a_row(count=2**31), a_row(count=2**31)
    await intake.add([row, other], lease=LEASE)
    assert (await intake.waiting()).reports == 2**32
    assert (await intake.gather(row.workflow_id, lease=LEASE)).count == 2**32

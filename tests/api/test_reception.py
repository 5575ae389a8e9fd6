"""The reception goes on, whatever its stores do to it."""

import asyncio
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from api.reception import Reception
from holdfast.domain.report import Report
from holdfast.errors import Unavailable
from tests.api.stage import eventually


class Intake:
    """Keeps what is added; fails as long as a test wants."""

    def __init__(self):
        self.rows = []
        self.error = None
        self.handed_in = []

    async def add(self, rows, *, lease, receipts):
        if self.error:
            raise self.error
        self.rows += rows

    async def remember(self, receipts):
        if self.error:
            raise self.error
        self.handed_in.append(receipts)

    async def forget_receipts(self):
        return False


class Dispatcher:
    """Takes whatever it is given; Temporal takes nothing that PostgreSQL did not, if it is away."""

    def __init__(self):
        self.told = []
        self.away = False

    async def start(self):
        pass

    async def stop(self):
        pass

    def is_busy(self, workflow_id):
        return False

    def known(self, workflow_id):
        return None

    def send(self, batch):
        self.told.append(batch)

    async def settled(self, workflow_id, *, within):
        pass

    async def tell_directly(self, batch):
        if self.away:
            raise Unavailable("Temporal is away")
        self.told.append(batch)


@asynccontextmanager
async def receiving(intake, dispatcher):
    reception = Reception(intake=intake, dispatcher=dispatcher)
    await reception.start()
    yield reception
    await reception.stop()


def a_report(message="broke"):
    return Report(service="channels", error_type="Broken", message=message)


async def test_an_error_that_nobody_foresaw_ends_its_own_requests_only():
    """Those who wait hear of it, and the next are taken."""
    intake = Intake()
    async with receiving(intake, Dispatcher()) as reception:
        intake.error = OverflowError("date value out of range")
        with pytest.raises(OverflowError):
            await reception.take([a_report()])
        intake.error = None
        [taken] = await reception.take([a_report()])
    assert taken.refusal is None
    assert len(intake.rows) == 1


async def test_what_neither_store_takes_is_refused():
    intake, dispatcher = Intake(), Dispatcher()
    intake.error, dispatcher.away = Unavailable("PostgreSQL is away"), True
    async with receiving(intake, dispatcher) as reception:
        [taken] = await reception.take([a_report()])
    assert taken.refusal


async def test_after_an_outage_the_receipts_are_handed_in_some_at_a_time():
    """So that however long it was, each statement ends in time."""
    intake, receipts = Intake(), [str(uuid4()) for _ in range(5001)]
    async with receiving(intake, Dispatcher()) as reception:
        intake.error = Unavailable("PostgreSQL is away")
        requests = [reception.take([a_report()], receipt=each) for each in receipts]
        taken = [answer for [answer] in await asyncio.gather(*requests)]
        assert not any(each.refusal or each.repeated for each in taken)
        [again] = await reception.take([a_report()], receipt=receipts[0])
        assert again.repeated
        intake.error = None

        async def handed_in():
            return [len(each) for each in intake.handed_in] == [5000, 1]

        await eventually(handed_in)

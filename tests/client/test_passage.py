"""Passages: blocks of code that go through a breaker."""

import asyncio

import pytest

from holdfast.client.passage import Passage
from holdfast.domain.breaker import BreakerStatus
from holdfast.errors import BreakerOpen
from tests.client.process import Process, Refused


@pytest.fixture
def process():
    return Process()


def passage(process):
    return Passage(process.breaker)


def raising(error):
    def body(_):
        raise error

    return body


@pytest.fixture(params=["with", "async with"])
def block(request, process):
    """A block of either kind, run the same way."""

    def run(body):
        if request.param == "with":
            with passage(process) as entered:
                return body(entered)

        async def waits():
            async with passage(process) as entered:
                return body(entered)

        return asyncio.run(waits())

    return run


def test_a_block_counts_like_a_call(block, process):
    assert block(lambda _: "answer") == "answer"
    with pytest.raises(Refused):
        block(raising(Refused()))
    with pytest.raises(asyncio.CancelledError):
        block(raising(asyncio.CancelledError()))
    assert process.sums() == (2, 1, 0)


@pytest.mark.parametrize("question", ["status", "retry_after"])
def test_asking_how_it_stands_begins_to_hear_of_it(process, question):
    """A process that only looks, and never calls, must not be told "closed" for ever."""
    getattr(passage(process), question)
    assert process.uses == 1


def test_a_block_is_not_entered_while_the_breaker_is_open(block, process):
    process.hear(BreakerStatus.OPEN)
    with pytest.raises(BreakerOpen):
        block(lambda _: pytest.fail("entered"))


def test_a_block_can_fail_without_an_exception(block, process):
    block(lambda entered: entered.fail("the answer makes no sense"))
    assert process.sums() == (1, 1, 0)


def test_a_passage_tells_how_the_breaker_stands(process):
    assert passage(process).status is BreakerStatus.CLOSED
    assert not passage(process).retry_after
    process.fail()
    assert passage(process).status is BreakerStatus.OPEN
    assert passage(process).retry_after.total_seconds() == 10


def test_a_passage_is_for_one_block_at_a_time(process):
    entered = passage(process)
    with entered, pytest.raises(RuntimeError, match="ask for another"), entered:
        pass
    assert process.sums() == (1, 0, 0)

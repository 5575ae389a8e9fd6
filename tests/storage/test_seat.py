"""A seat is one process's at a time, and free as soon as that one's connection ends."""

from datetime import timedelta
from types import SimpleNamespace

import asyncpg
import pytest

from holdfast.errors import Unavailable
from storage.database import create_engine
from storage.seat import Seat, is_taken
from tests.storage.samples import eventually
from tests.storage.test_notifications import hang_up


@pytest.fixture
def seats(engine):
    seats = [Seat(engine, "watch") for _ in range(2)]
    yield seats
    for seat in seats:
        seat.leave()


async def test_one_has_it_and_keeps_it(seats):
    first, second = seats
    assert await first.held()
    assert not await second.held()
    assert await first.held()


async def test_it_is_taken_over_from_one_that_left(seats):
    first, second = seats
    assert await first.held()
    first.leave()
    await eventually(second.held)
    assert not await first.held()


async def test_it_is_taken_over_from_one_whose_connection_was_lost(engine, seats):
    """And the loser learns of it before it goes on."""
    first, second = seats
    assert await first.held()
    await hang_up(engine)
    await eventually(second.held)
    with pytest.raises(Unavailable):
        await first.held()
    assert not await first.held()


async def test_it_is_taken_over_from_one_that_says_nothing_more(engine):
    """Its machine vanished, or it hangs; and one that comes to itself knows that it is out."""
    first = Seat(engine, "watch", silence=timedelta(milliseconds=100))
    second = Seat(engine, "watch")
    assert await first.held()
    await eventually(second.held)
    with pytest.raises(Unavailable):
        await first.held()
    second.leave()


async def test_one_that_is_ended_as_it_asks_knows_that_it_is_out(engine, monkeypatch):
    """The end may overtake the question: the client then speaks of a fault of its own."""
    seat = Seat(engine, "watch")
    assert await seat.held()

    async def overtaken(_):
        raise asyncpg.InternalClientError("cannot switch to state 15")

    ended = SimpleNamespace(execute=overtaken, terminate=seat._connection.terminate)
    monkeypatch.setattr(seat, "_connection", ended)
    with pytest.raises(Unavailable):
        await seat.held()
    await eventually(seat.held)
    seat.leave()


async def test_another_seat_is_another_matter(engine, seats):
    assert await seats[0].held()
    other = Seat(engine, "other")
    assert await other.held()
    other.leave()


@pytest.mark.parametrize("name", ["watch", "night", "x", "monitor"])
async def test_anybody_can_see_whether_it_is_taken(engine, name):
    """Whatever the sign of the lock's number."""
    seat = Seat(engine, name)
    assert not await is_taken(engine, name)
    assert await seat.held()
    assert await is_taken(engine, name)
    seat.leave()

    async def is_free():
        return not await is_taken(engine, name)

    await eventually(is_free)


async def test_without_postgresql_nobody_has_it(server):
    engine = create_engine(server.get_uri())
    seat = Seat(engine, "watch")
    assert await seat.held()
    server.stop()
    with pytest.raises(Unavailable):
        await seat.held()
    with pytest.raises(Unavailable):
        await seat.held()
    server.start()
    assert await seat.held()
    seat.leave()
    await engine.dispose()

"""What clients of the feed are told, in which order, and what they never are."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from sqlalchemy import text
from starlette.exceptions import HTTPException

from api.event_feed import EventFeed
from api.event_stream import EventStreamResponse
from config.policy import PolicyHolder, load
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.record import Record
from holdfast.errors import Unavailable
from storage.database import create_engine, statement
from storage.migrate import migrate
from storage.notifications import notify
from storage.records import Records
from storage.snapshots import GUIDANCE_CHANGED
from tests.api.stage import eventually
from tests.storage.samples import an_entry

POLICY = "version: 1\nservices: {channels: {}, payments: {}}\n"
SOON = timedelta(milliseconds=20)


class Told(NamedTuple):
    """One event, read as the HTML standard says."""

    kind: str
    what: dict
    position: str | None


def read(raw: bytes) -> list[Told]:
    told = []
    for block in raw.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line)
        if "event" in fields:
            told.append(Told(fields["event"], json.loads(fields["data"]), fields.get("id")))
    return told


class Client:
    """A client of a feed: keeps what it is told, heartbeats apart."""

    def __init__(self, stream):
        self.stream = stream
        self.told: list[Told] = []
        self.current: bool | None = None

    async def listen(self):
        for each in read(await self.stream.take()):
            if each.kind == "heartbeat":
                self.current = each.what["current"]
            else:
                self.told.append(each)

    async def until(self, condition):
        async with asyncio.timeout(15):
            while not condition(self):
                await self.listen()

    @property
    def epoch(self):
        [*_, last] = [Told("service", {}, None), *self.told]
        return last.what.get("breaker", {}).get("epoch")

    @property
    def services(self):
        return [each.what["service"] for each in self.told if each.kind == "service"]


class Desk:
    """A record to write to, and feeds over it."""

    def __init__(self, url, policy_file):
        self.engine = create_engine(url, command_timeout=timedelta(seconds=2))
        self.holder = PolicyHolder(load(policy_file))
        self._sequence = 0

    @asynccontextmanager
    async def feed(self, *, current=True):
        feed = EventFeed(self.engine, loaded=lambda: self.holder.current, heartbeat_every=SOON)
        await feed.start()
        if current:
            await eventually(lambda: is_current(feed))
        try:
            yield feed
        finally:
            await feed.stop()

    async def change(self, service="channels", status=BreakerStatus.OPEN):
        self._sequence += 1
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self._sequence)
        breaker = CircuitBreaker(service=service, status=status, epoch=self._sequence)
        entry = an_entry(self._sequence, at=at)
        await Records(self.engine).write(Record(entries=(entry,), breaker=breaker))

    async def recorded(self, snapshot, *, revision="nextval('guidance_revision')"):
        """Have the record say something else of all services."""
        change = f"UPDATE entities SET revision = {revision}, snapshot = {snapshot}"
        async with statement(self.engine) as connection:
            await connection.execute(text(change))


async def is_current(feed):
    return feed.is_current


async def joined(feed, *services, position=None):
    return Client(await feed.join(frozenset(services) or None, position=position))


@pytest.fixture
def policy_file(tmp_path):
    path = tmp_path / "holdfast.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
async def desk(database_url, policy_file):
    desk = Desk(database_url, policy_file)
    yield desk
    await desk.engine.dispose()


@pytest.fixture
async def desk_apart(server, policy_file):
    await migrate(server.get_uri())
    desk = Desk(server.get_uri(), policy_file)
    yield desk
    await desk.engine.dispose()


async def test_the_first_event_has_all_there_is_and_a_heartbeat_follows(desk):
    await desk.change()
    async with desk.feed() as feed:
        first = read(await (await feed.join(None)).take())
    assert [each.kind for each in first] == ["snapshot", "heartbeat"]
    channels, payments = first[0].what["services"]
    assert (channels["service"], channels["breaker"]["status"]) == ("channels", "open")
    assert (payments["service"], payments["breaker"]["status"]) == ("payments", "closed")
    assert first[0].position == feed.board.position
    assert first[1] == Told("heartbeat", {"current": True}, None)


async def test_every_change_reaches_the_clients_of_every_process(desk):
    async with desk.feed() as one, desk.feed() as other:
        clients = [await joined(feed) for feed in (one, other)]
        for status in (BreakerStatus.OPEN, BreakerStatus.HALF_OPEN, BreakerStatus.CLOSED):
            await desk.change(status=status)
        for client in clients:
            await client.until(lambda each: each.epoch == 3)
        assert {client.told[-1].position for client in clients} == {one.board.position}


async def test_a_client_hears_of_the_services_that_it_wants(desk):
    async with desk.feed() as feed:
        client = await joined(feed, "payments")
        await desk.change("channels")
        await desk.change("payments")
        await client.until(lambda each: "payments" in each.services)
    assert [each["service"] for each in client.told[0].what["services"]] == ["payments"]
    assert client.services == ["payments"]


async def test_who_comes_again_is_told_what_it_missed_and_nothing_else(desk):
    """By whichever process."""
    await desk.change("channels")
    async with desk.feed() as feed:
        client = await joined(feed)
        await client.listen()
        position = client.told[-1].position
    await desk.change("payments")
    async with desk.feed() as other:
        again = await joined(other, position=position)
        await again.until(lambda each: each.current)
        assert again.services == ["payments"]
        third = await joined(other, position=again.told[-1].position)
        await third.until(lambda each: each.current)
        assert third.told == []


@pytest.mark.parametrize("position", ["nonsense", "0123456789ab.1", "{hash}.99"])
async def test_who_was_somewhere_unknown_is_told_all(desk, position):
    async with desk.feed() as feed:
        position = position.format(hash=desk.holder.current.hash)
        client = await joined(feed, position=position)
        await client.until(lambda each: each.current)
    assert [each.kind for each in client.told] == ["snapshot"]


async def test_only_who_heard_the_last_of_several_changes_is_past_them_all(desk, policy_file):
    """A connection may break between two events."""
    async with desk.feed() as feed:
        client = await joined(feed)
        await client.listen()
        before = client.told[-1].position
        quick = "{breaker: {minimum_calls: 1}}"
        policy_file.write_text(f"version: 1\nservices: {{channels: {quick}, payments: {quick}}}\n")
        desk.holder.reload()
        await client.until(lambda each: len(each.services) == 2)
        assert client.services == ["channels", "payments"]
        assert [each.position for each in client.told[1:]] == [before, feed.board.position]


async def test_a_process_that_knows_less_reads_before_it_tells_a_client_old_things(desk):
    """The client was told by another process, and the message to this one is still under way."""
    await desk.change()
    feed = EventFeed(desk.engine, loaded=lambda: desk.holder.current)  # beats seldom
    await feed.start()
    await eventually(lambda: is_current(feed))
    await desk.recorded("jsonb_set(snapshot, '{status}', '\"half_open\"')")
    async with statement(desk.engine) as connection:
        revision = await connection.scalar(text("SELECT max(revision) FROM entities"))
    client = await joined(feed, position=f"{desk.holder.current.hash}.{revision}")
    await client.until(lambda each: each.current)
    await feed.stop()
    assert client.told == []
    assert feed.board.breaker("channels").status is BreakerStatus.HALF_OPEN


async def test_while_postgresql_is_away_clients_hear_that_nothing_is_current(desk_apart, server):
    async with desk_apart.feed() as feed:
        client = await joined(feed)
        await client.until(lambda each: each.current)
        server.stop()
        await client.until(lambda each: each.current is False)
        server.start()
        await client.until(lambda each: each.current)
        await desk_apart.change()
        await client.until(lambda each: each.services == ["channels"])


async def test_who_knows_something_is_told_nothing_that_may_be_old(desk_apart, server):
    """It hears what it missed once the record can be read; a newcomer hears what is known now."""
    await desk_apart.change("channels")
    async with desk_apart.feed() as feed:
        position = feed.board.position
        await desk_apart.change("payments")
        await eventually(lambda: knows(feed, "payments"))
    server.stop()
    async with desk_apart.feed(current=False) as feed:
        again, newcomer = await joined(feed, position=position), await joined(feed)
        for client in (again, newcomer):
            await client.until(lambda each: each.current is False)
        assert again.told == []
        assert [each.kind for each in newcomer.told] == ["snapshot"]
        server.start()
        for client in (again, newcomer):
            await client.until(lambda each: each.current)
        assert again.services == ["payments"]
        assert newcomer.services == ["channels", "payments"]


async def knows(feed, service):
    return feed.board.breaker(service)


async def test_a_state_that_cannot_be_read_does_not_silence_the_feed(desk):
    """As one of a later version: clients hear that nothing is current, and again once it is."""
    await desk.change()
    async with desk.feed() as feed:
        client = await joined(feed)
        await client.until(lambda each: each.current)
        await desk.recorded("jsonb_set(snapshot, '{status}', '\"ajar\"')")
        await client.until(lambda each: each.current is False)
        await desk.recorded("jsonb_set(snapshot, '{status}', '\"half_open\"')")
        await client.until(lambda each: each.current)
        await client.until(lambda each: each.told[-1].kind == "service")
    assert client.told[-1].what["breaker"]["status"] == "half_open"


async def test_a_newcomer_is_told_also_what_has_no_number_of_its_own(desk):
    """As a worker of the version before records it; a read of all finds it."""
    await desk.change()
    async with desk.feed() as feed:
        await (await joined(feed)).listen()
        await desk.recorded("jsonb_set(snapshot, '{status}', '\"half_open\"')", revision="revision")
        await notify(desk.engine, GUIDANCE_CHANGED, "")
        await eventually(lambda: is_half_open(feed, "channels"))
        newcomer = await joined(feed)
        await newcomer.listen()
    [channels] = [each for each in newcomer.told[0].what["services"] if each["breaker"]["epoch"]]
    assert channels["breaker"]["status"] == "half_open"


async def is_half_open(feed, service):
    return feed.board.breaker(service).status is BreakerStatus.HALF_OPEN


async def test_a_client_that_sends_what_it_may_not_is_forgotten(desk):
    """Nothing more is heard of it then, not even that it goes."""
    sent = []

    async def receive():
        raise HTTPException(413)

    async def send(message):
        sent.append(message)

    async with desk.feed() as feed:
        response = EventStreamResponse(await feed.join(None), on_end=feed.leave)
        async with asyncio.timeout(15):
            await response({}, receive, send)
        assert len(feed) == 0
    assert sent[-1]["more_body"] is False


async def test_a_client_that_cannot_follow_is_let_go(desk):
    async with desk.feed() as feed:
        idle, busy = await feed.join(None), await joined(feed)
        for _ in range(300):
            await desk.change()
            await busy.until(lambda each: len(each.services) == desk._sequence)
        assert await idle.take() == b""


async def test_a_client_that_stayed_long_comes_again(desk):
    async with desk.feed() as feed:
        stream = await feed.join(None)
        stream.until = 0.0
        async with asyncio.timeout(15):
            while await stream.take():
                pass


async def test_at_the_end_every_client_is_let_go_and_none_is_taken(desk):
    async with desk.feed() as feed:
        stream = await feed.join(None)
        feed.end()
        async with asyncio.timeout(15):
            while await stream.take():
                pass
        with pytest.raises(Unavailable):
            await feed.join(None)

"""The stream's thread: hears the fleet's news, also after breaks and through odd proxies."""

import threading
import time
from datetime import timedelta

import pytest

from holdfast.client.events import LONGEST_BACKLOG, Event, EventReader
from holdfast.client.stream import Stream
from holdfast.client.switchboard import Switchboard
from holdfast.domain.breaker import BreakerStatus
from tests.client.event_server import EventServer, guidance, open_breaker

LONG = timedelta(seconds=10)


@pytest.fixture
def server():
    server = EventServer()
    yield server
    server.close()


@pytest.fixture
def switchboard():
    return Switchboard(reporter="me", service="shop")


@pytest.fixture
def follow(server, switchboard):
    """Starts a stream's thread; it is closed at the end, which it must follow at once."""
    started = []

    def start(**options):
        stream = Stream(switchboard, url=server.url, key="secret", **options)
        thread = threading.Thread(target=stream.run)
        started.append((stream, thread))
        thread.start()
        return stream

    yield start
    for stream, thread in started:
        stream.close()
        thread.join(LONG.total_seconds())
        assert not thread.is_alive()


def eventually(condition):
    deadline = time.monotonic() + LONG.total_seconds()
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def is_open(switchboard, service="payments"):
    return switchboard.breaker(service).status is BreakerStatus.OPEN


def test_a_snapshot_and_each_change_reach_the_switchboard(server, switchboard, follow):
    follow()
    server.send("snapshot", guidance(open_breaker()), position="p.1")
    eventually(lambda: is_open(switchboard))
    server.send("service", '{"service": "payments", "features_off": ["hd"]}', position="p.2")
    eventually(lambda: not is_open(switchboard))
    assert not switchboard.feature("hd", default=True, service="payments")
    [headers] = server.connections
    assert headers["Authorization"] == "Bearer secret"
    assert "Last-Event-ID" not in headers


def test_after_a_break_it_goes_on_where_it_was(server, switchboard, follow):
    follow()
    server.send("snapshot", guidance(), position="p.7")
    server.hang_up()
    server.wait_for(lambda: len(server.connections) == 2)
    assert server.connections[1]["Last-Event-ID"] == "p.7"
    server.send("service", '{"service": "payments", "features_off": ["hd"]}', position="p.8")
    eventually(lambda: not switchboard.feature("hd", default=True, service="payments"))
    assert server.polls == []


def test_only_a_heartbeat_of_a_process_that_is_current_is_contact(server, switchboard, follow):
    times = []
    switchboard.contact = lambda: times.append(1)
    follow()
    server.send("heartbeat", '{"current":false}')
    server.send("snapshot", guidance(open_breaker()))
    eventually(lambda: is_open(switchboard))
    assert times == []
    server.heartbeat()
    eventually(lambda: times == [1])


def test_what_it_does_not_understand_takes_nothing_else_with_it(
    server, switchboard, follow, caplog
):
    """A newer Holdfast may tell more than this client knows."""
    follow()
    server.send("news", "{}")
    server.send("service", '{"service": "payments", "breaker": {"status": "ajar"}}')
    server.send("service", "no JSON")
    odd = {"service": "stock", "breaker": {"status": "ajar"}}
    server.send("snapshot", guidance(odd, open_breaker()))
    eventually(lambda: is_open(switchboard))
    assert not is_open(switchboard, "stock")
    assert caplog.text.count("does not understand") == 3


def test_where_no_stream_gets_through_it_asks(server, switchboard, follow):
    """Some proxies answer with an error of their own, or at once with nothing."""
    server.events_status = 502
    server.features = (200, '"p.1"', guidance(open_breaker()).encode())
    follow()
    eventually(lambda: is_open(switchboard))
    server.wait_for(lambda: len(server.polls) >= 2)
    assert server.polls[1]["If-None-Match"] == '"p.1"'


def test_where_a_stream_stays_silent_it_asks_from_then_on(server, switchboard, follow):
    """Some proxies hold an answer back until it ends."""
    contacts = []
    switchboard.contact = lambda: contacts.append(1)
    server.features = (200, '"p.1"', guidance(open_breaker()).encode())
    follow(silence=timedelta(seconds=0.2))
    server.wait_for(lambda: len(server.polls) >= 2)
    assert is_open(switchboard)
    assert len(server.connections) == 1
    assert contacts


def test_a_refused_key_is_said_once_and_changes_nothing_else(server, switchboard, follow, caplog):
    server.events_status = 403
    stream = follow()
    eventually(lambda: "refuses its event stream: HTTP 403" in caplog.text)
    stream.close()
    assert switchboard.breaker("payments").admit()
    assert caplog.text.count("refuses") == 1


def test_it_waits_for_a_holdfast_that_is_away(server, switchboard, follow):
    contacts = []
    switchboard.contact = lambda: contacts.append(1)
    server.events_status = 503
    server.features = (503, None, b"")
    follow()
    server.wait_for(lambda: len(server.connections) >= 2)
    assert contacts == []
    server.events_status = 200
    server.heartbeat()
    eventually(lambda: contacts == [1])


def test_events_come_whole_however_they_are_cut():
    """Also within a character; only line breaks of the standard end a line."""
    text = (
        'id: p.1\r\nevent: service\r\ndata: {"reason": "é\u2028\x0b"}\r\n\r\n'
        ": comment\n\ndata: x\ndata: y\n\n"
    )
    reader = EventReader()
    whole = text.encode()
    events = [event for byte in whole for event in reader.feed(bytes([byte]))]
    assert events == [Event("service", '{"reason": "é\u2028\x0b"}'), Event("message", "x\ny")]
    assert reader.last_id == "p.1"
    assert list(EventReader().feed(whole)) == events


def test_half_an_event_is_forgotten_with_its_connection():
    reader = EventReader()
    assert list(reader.feed(b"retry: 1500\nid: p.1\nevent: service\ndata: {")) == []
    reader.begin()
    assert list(reader.feed(b"data: x\n\n")) == [Event("message", "x")]
    assert (reader.last_id, reader.retry) == ("", 1500)


def test_an_event_without_end_is_given_up():
    with pytest.raises(ValueError, match="no end"):
        list(EventReader().feed(b"x" * (LONGEST_BACKLOG + 1)))

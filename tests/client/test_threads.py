"""The client's own threads: they start when they can, and nobody has to wait for them."""

import signal
import threading
from datetime import timedelta

import httpx
import pytest

from holdfast.client import Holdfast
from holdfast.client.outcome_sender import OutcomeSender
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import ServiceGuidance
from tests.client.control_plane import eventually
from tests.client.process import SERVICE, Process

SOON = timedelta(seconds=10)


@pytest.fixture
def crowded(monkeypatch):
    """The process has as many threads as it may have; gives what changes that."""
    start = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith("holdfast"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return lambda: monkeypatch.setattr(threading.Thread, "start", start)


def threads():
    return {each.name for each in threading.enumerate() if each.name.startswith("holdfast")}


def test_reports_are_sent_once_a_thread_can_start(plane, holdfast, crowded):
    """Repeats of the one that waits bring it about too."""
    holdfast.report("can't start new thread")
    crowded()
    holdfast.report("can't start new thread")
    assert holdfast.flush(SOON)
    assert plane.counts == {"can't start new thread": 2}


@pytest.mark.parametrize("use", ["breaker", "feature"])
def test_the_fleet_is_followed_once_a_thread_can_start(plane, holdfast, crowded, use):
    def call():
        if use == "feature":
            holdfast.feature("hd")
        else:
            with holdfast.breaker("payments"):
                pass

    call()
    assert threads() == set()
    crowded()
    call()
    assert threads() == {"holdfast events", "holdfast outcomes", "holdfast reports"}


def test_a_subscriber_may_close_the_client(plane, caplog):
    """It is called on one of the threads that the close waits for."""
    holdfast = Holdfast(plane.url, "key", service="shop", spill=None)
    holdfast.subscribe(lambda _: holdfast.close())
    news = [ServiceGuidance(service="shop", features_off=("hd",))]
    holdfast._crew._ensure("news", lambda: holdfast._switchboard.heard(news, whole=False))
    eventually(lambda: threads() == set())
    assert "failed" not in caplog.text


def test_a_signal_handler_may_interrupt_what_it_does_itself():
    """It rejects a call, say, while the main thread is about to tell of another."""
    sender = OutcomeSender(Process().switchboard, url="http://holdfast", key="key")
    interrupted = []

    def handle(*_):
        interrupted.append(True)
        sender.hurry()

    former = signal.signal(signal.SIGVTALRM, handle)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
    try:
        while len(interrupted) < 200:
            sender.hurry()
            sender._listen(0)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former)


def answering(answer):
    return httpx.Client(base_url="http://holdfast", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(("error", "calls"), [(httpx.ReadTimeout, 0), (httpx.ConnectError, 2)])
def test_outcomes_that_may_have_been_taken_are_not_told_again(error, calls):
    """A probe counts once however often it is told, so that it is told until it was heard."""
    process = Process()
    process.call()
    process.hear(BreakerStatus.HALF_OPEN, epoch=process.epoch)
    process.rejects()
    process.lease()
    process.call()

    def fail(request):
        raise error("gone")

    with answering(fail) as http, pytest.raises(error):
        OutcomeSender(process.switchboard, url="", key="key")._tell(http)
    told = process.told()
    assert len(told.probes) == 1
    assert sum(each.calls for each in told.outcomes) == calls


def test_where_nothing_answers_one_lease_is_waited_for_and_not_each():
    process = Process()
    asked = []

    def fail(request):
        asked.append(request)
        raise httpx.ReadTimeout("gone")

    for service in (SERVICE, "catalogue", "ingest"):
        process.hear(BreakerStatus.HALF_OPEN, service=service)
        with pytest.raises(Exception, match="probe"):
            process.switchboard.breaker(service).admit()
    with answering(fail) as http, pytest.raises(httpx.ReadTimeout):
        OutcomeSender(process.switchboard, url="", key="key")._ask(http)
    assert len(asked) == 1

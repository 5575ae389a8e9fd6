"""A forked process goes on as a new one: what waited stays its parent's, and is counted once."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from holdfast.client import Holdfast
from holdfast.domain.guidance import ServiceGuidance
from tests.client.control_plane import eventually

SOON = timedelta(seconds=10)

# Newer Pythons warn of forks beside threads; that is what is tried here.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def forked(work):
    """Do something in a child; gives its status."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def ended_well(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def client(plane, tmp_path):
    with Holdfast(plane.url, "key", service="shop", spill=tmp_path) as holdfast:
        yield holdfast


def test_a_child_reports_after_the_fork(plane, client):
    client.report("parent before")
    assert client.flush(SOON)

    def work():
        client.report("child")
        assert client.flush(SOON)

    assert ended_well(forked(work))
    client.report("parent after")
    assert client.flush(SOON)
    assert plane.counts == {"parent before": 1, "child": 1, "parent after": 1}


def test_what_waits_at_the_fork_is_sent_by_the_parent_alone(plane, client):
    plane.gate.clear()
    client.report("on its way")
    eventually(lambda: plane.requests)
    for _ in range(3):
        client.report("waiting")

    def work():
        assert len(client._outbox) == 0
        client.close(SOON)

    assert ended_well(forked(work))
    plane.gate.set()
    assert client.flush(SOON)
    assert plane.counts == {"on its way": 1, "waiting": 3}


def test_a_lock_that_is_held_at_the_fork_blocks_no_child(plane, client):
    """Another thread was just about to fold a report, and does not exist in the child."""

    def work():
        signal.alarm(10)
        client.report("child")
        assert client.flush(SOON)

    with client._outbox._changed, client._lock, client._switchboard._lock:
        child = forked(work)
        assert ended_well(child)
    assert plane.counts == {"child": 1}


def test_a_child_leaves_its_parents_spill_alone(plane, client, tmp_path):
    plane.is_away = True
    client.report("parent's")
    eventually(lambda: list(tmp_path.glob("*.jsonl")))

    def work():
        client.report("child's")
        client.close(timedelta(seconds=0.2))

    assert ended_well(forked(work))
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    plane.is_away = False
    assert client.flush(SOON)
    assert plane.counts == {"parent's": 1}


def test_a_child_tells_outcomes_of_its_own(plane, client):
    """Under a name of its own, or the fleet would take two processes for one."""
    with client.breaker("payments"):
        pass
    eventually(lambda: plane.outcomes)

    def work():
        with client.breaker("payments"):
            pass
        client.close(SOON)

    assert ended_well(forked(work))
    eventually(lambda: len(plane.outcomes) == 2)
    parent, child = plane.outcomes
    assert parent["reporter"] != child["reporter"]
    assert [each["outcomes"][0]["calls"] for each in plane.outcomes] == [1, 1]


def test_a_closed_client_stays_closed_in_a_child(plane, client):
    client.close()

    def work():
        client.report("too late")
        assert client.dropped == 1

    assert ended_well(forked(work))


def report_in_child(url):
    Holdfast(url, "key", service="shop", spill=None).report("the end")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_of_multiprocessing_still_reports_at_its_end(plane, method):
    """It ends without atexit."""
    context = multiprocessing.get_context(method)
    process = context.Process(target=report_in_child, args=(plane.url,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert plane.counts == {"the end": 1}


def test_a_pool_of_forked_workers_shares_one_client(plane):
    """As in a server that forks its workers, where the client is made before."""
    script = f"""if True:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from holdfast.client import Holdfast
        holdfast = Holdfast({plane.url!r}, "key", service="shop", spill=None)
        def work(number):
            holdfast.report("boom")
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(3, mp_context=context) as pool:
            list(pool.map(work, range(300)))
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert plane.counts == {"boom": 300}


def test_a_child_hears_of_features_itself(client):
    """What its parent was told of them is out of date one day."""
    client._switchboard.heard([ServiceGuidance(service="shop", features_off=("hd",))], whole=True)
    assert not client.feature("hd")

    def work():
        assert not client.feature("hd")
        assert any(thread.name == "holdfast events" for thread in threading.enumerate())

    assert ended_well(forked(work))

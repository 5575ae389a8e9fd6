"""What can't be sent is written down, and reaches Holdfast exactly once, if by another process."""

import json
import signal
import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.client.control_plane import eventually
from tests.client.spills import a_batch, files, kept

SOON = timedelta(seconds=10)
AT_ONCE = timedelta(seconds=0.1)


def test_while_holdfast_is_away_reports_are_on_disk_and_sent_when_it_is_back(plane, folder, client):
    plane.is_away = True
    holdfast = client()
    for number in range(3):
        holdfast.report("boom", error_type=f"Kind{number}")
    eventually(lambda: files(folder) and files(folder)[0].read_bytes().count(b"error_type") == 3)
    plane.is_away = False
    assert holdfast.flush(SOON)
    assert plane.counts == {"boom": 3}
    holdfast.close()
    assert files(folder) == []


def test_a_later_process_sends_what_one_left_behind(plane, folder, client):
    plane.is_away = True
    first = client()
    for _ in range(5):
        first.report("boom")
    first.close(AT_ONCE)
    assert first.dropped == 0
    assert len(files(folder)) == 1
    plane.is_away = False
    client().report("later")
    eventually(lambda: plane.counts == {"boom": 5, "later": 1})
    eventually(lambda: files(folder) == [])


def test_what_is_kept_leaves_while_new_reports_keep_coming(plane, folder, client):
    """An error does not stop because Holdfast is back."""
    plane.is_away = True
    holdfast = client()
    holdfast.report("old")
    eventually(lambda: files(folder))
    plane.is_away = False
    stop = threading.Event()

    def storm():
        while not stop.is_set():
            holdfast.report("new")

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        eventually(lambda: {"old", "new"} <= plane.counts.keys())
    finally:
        stop.set()
        thread.join()


def test_a_guarded_call_is_enough_to_have_it_sent(plane, client):
    """Services that are well don't report."""
    plane.is_away = True
    first = client()
    first.report("boom")
    first.close(AT_ONCE)
    plane.is_away = False
    with client().breaker("payments"):
        pass
    eventually(lambda: plane.counts == {"boom": 1})


@pytest.mark.parametrize("other", [{"service": "cart"}, {"spill": None}])
def test_what_another_service_left_is_not_touched(plane, folder, client, other):
    plane.is_away = True
    first = client()
    first.report("boom")
    first.close(AT_ONCE)
    plane.is_away = False
    second = client(**other)
    second.report("other")
    assert second.flush(SOON)
    assert plane.counts == {"other": 1}
    assert len(files(folder)) == 1


def test_what_was_taken_though_no_answer_came_counts_once(plane, client):
    """The process ended before the answer; the next one sends it again under the same key."""
    plane.gate.clear()
    first = client()
    first.report("boom")
    eventually(lambda: plane.requests)
    first.close(AT_ONCE)
    plane.gate.set()
    eventually(lambda: plane.counts == {"boom": 1})
    second = client()
    second.report("later")
    eventually(lambda: len(plane.posts()) == 3)
    assert second.flush(SOON)
    assert plane.counts == {"boom": 1, "later": 1}


def test_a_killed_process_leaves_what_it_had_written(plane, folder, client):
    plane.is_away = True
    script = f"""if True:
        import sys
        from holdfast.client import Holdfast
        holdfast = Holdfast({plane.url!r}, "key", service="shop", spill={str(folder)!r})
        for _ in range(7):
            holdfast.report("boom")
        sys.stdin.read()
    """
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    try:
        eventually(lambda: any(b"boom" in each.read_bytes() for each in files(folder)), within=30)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
    plane.is_away = False
    client().report("later")
    eventually(lambda: plane.counts == {"boom": 7, "later": 1})


def test_a_living_process_keeps_its_file_to_itself(spill):
    first, second = spill(), spill()
    first.keep(a_batch())
    second.adopt()
    assert len(second) == 0
    assert len(kept(first)) == 1


def test_batches_come_back_as_they_were_oldest_first(spill):
    batches = [a_batch(f"ä \N{GRINNING FACE} {number}", count=number + 1) for number in range(3)]
    first = spill()
    for batch in batches:
        first.keep(batch)
    first.close()
    second = spill()
    second.adopt()
    assert [(b.key, b.counts, json.loads(b.body)) for b in kept(second)] == [
        (b.key, b.counts, json.loads(b.body)) for b in batches
    ]


def test_what_was_sent_before_the_end_is_not_left_behind(spill):
    first = spill()
    for number in range(3):
        first.keep(a_batch(str(number)))
    record, _ = first.oldest()
    first.strike(record)
    first.close()
    second = spill()
    second.adopt()
    assert [json.loads(each.body)[0]["message"] for each in kept(second)] == ["1", "2"]


def test_one_that_holdfast_fails_at_lets_the_others_go_first(spill):
    first = spill()
    for number in range(3):
        first.keep(a_batch(str(number)))
    record, _ = first.oldest()
    first.postpone(record)
    assert [json.loads(each.body)[0]["message"] for each in kept(first)] == ["1", "2", "0"]


def test_it_takes_so_much_and_no_more(spill, folder):
    """What was adopted counts too: a process that starts again and again fills no disk."""
    line = len(a_batch().line)
    first = spill(most_bytes=3 * line)
    assert [bool(first.keep(a_batch())) for _ in range(4)] == [True, True, True, False]
    first.close()
    second = spill(most_bytes=3 * line)
    second.adopt()
    assert not second.keep(a_batch())
    kept(second)
    assert second.keep(a_batch())


def test_files_are_private(spill, folder):
    spill().keep(a_batch())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(each.stat().st_mode) for each in files(folder)] == [0o600]


def test_a_process_that_is_told_to_write_nothing_writes_nothing(plane, client, tmp_path):
    plane.is_away = True
    holdfast = client(spill=None)
    holdfast.report("boom")
    eventually(lambda: plane.requests)
    holdfast.close(AT_ONCE)
    assert holdfast.dropped == 1
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_is_left_open(spill, folder):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        first = spill()
        first.keep(a_batch())
        first.close()
    last = spill()
    last.adopt()
    assert len(kept(last)) == 5
    last.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert files(folder) == []

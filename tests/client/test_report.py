"""What a service may rely on when it reports: nothing blocks, nothing raises, nothing is lost."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from time import monotonic

import httpx
import pytest

from holdfast.client import Holdfast
from holdfast.client.batch import MOST_ENTRIES
from holdfast.client.post import LONGEST_WAIT, backoff, retry_after
from holdfast.domain.report import Report
from holdfast.errors import ConfigurationError
from tests.client.control_plane import ACCEPTED, eventually

SOON = timedelta(seconds=10)


class PaymentError(Exception):
    pass


def raised(error):
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_an_exception_arrives_with_its_type_message_stack_and_time(plane, holdfast):
    before = datetime.now(UTC)
    holdfast.report(raised(PaymentError("declined")), category="api", labels={"shop": "1"})
    assert holdfast.flush(SOON)
    [entry] = plane.entries
    assert entry["service"] == "shop"
    assert entry["error_type"].endswith(".PaymentError")
    assert entry["error_bases"] == ["Exception"]
    assert entry["message"] == "declined"
    assert entry["category"] == "api"
    assert entry["labels"] == {"shop": "1"}
    assert entry["stack"][-1].split(".")[-2].startswith("raised (test_report")
    assert before <= datetime.fromisoformat(entry["occurred_at"]) <= datetime.now(UTC)


def test_a_builtin_exception_goes_by_its_bare_name(plane, holdfast):
    holdfast.report(raised(ConnectionResetError("peer")), service="other")
    assert holdfast.flush(SOON)
    assert plane.entries[0]["error_type"] == "ConnectionResetError"
    assert plane.entries[0]["error_bases"] == ["ConnectionError", "OSError", "Exception"]
    assert plane.entries[0]["service"] == "other"


def test_the_key_goes_with_every_request(plane, holdfast):
    holdfast.report("boom", error_type="Boom")
    assert holdfast.flush(SOON)
    [request] = plane.posts()
    assert request.headers["Authorization"] == "Bearer secret-key"


def test_whatever_a_service_hands_in_fits_the_wire(plane, holdfast):
    """A report that is too long, too deep, cyclic or unprintable is cut, not refused."""
    cycle: dict = {"nan": float("nan"), "at": datetime.now(UTC), "deep": [[[[[[[[[["x"]]]]]]]]]]}
    cycle["self"] = cycle
    holdfast.report(
        raised(ValueError("x\x00y" * 5000)),
        fingerprint="two words" * 50,
        context={**cycle, "big": ["é" * 9000] * 500, 7: "seven", "bad": "\udcff"},
        labels={"n": 1},
    )
    assert holdfast.flush(SOON)
    [entry] = plane.entries
    assert set(entry) <= set(Report.model_fields)
    Report.model_validate(entry)


def test_reports_made_while_one_is_on_its_way_leave_together(plane, holdfast):
    plane.gate.clear()
    kinds = [f"Kind{number}" for number in range(MOST_ENTRIES + 1)]
    for kind in kinds:
        holdfast.report("boom", error_type=kind)
    plane.gate.set()
    assert holdfast.flush(SOON)
    assert [entry["error_type"] for entry in plane.entries] == kinds
    assert len(plane.batches) <= 3


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_passing_failure_is_tried_again(plane, holdfast, status):
    plane.script.append((status, {}, {}))
    holdfast.report("boom")
    assert holdfast.flush(SOON)
    assert [entry["message"] for entry in plane.entries] == ["boom"]


def test_retry_after_is_honoured(plane, holdfast):
    plane.script.append((429, {"Retry-After": "1"}, {}))
    holdfast.report("boom")
    assert holdfast.flush(SOON)
    first, second = plane.requests
    assert second.at - first.at >= 1


def test_reports_outlast_a_control_plane_that_is_not_there(plane, caplog):
    plane.close()
    with Holdfast(plane.url, "key", service="shop", spill=None) as holdfast:
        holdfast.report("while away")
        assert not holdfast.flush(timedelta(seconds=0.2))
        assert "Holdfast is away" in caplog.text
        plane.open(plane.port)
        assert holdfast.flush(SOON)
    assert [entry["message"] for entry in plane.entries] == ["while away"]


def test_when_full_the_oldest_are_dropped_and_counted(plane):
    plane.gate.clear()
    with Holdfast(plane.url, "key", service="shop", capacity=3, spill=None) as holdfast:
        holdfast.report("on its way")
        eventually(lambda: plane.requests)
        for number in range(5):
            holdfast.report(f"number {number}")
        assert holdfast.dropped == 2
        plane.gate.set()
        assert holdfast.flush(SOON)
    messages = [entry["message"] for entry in plane.entries]
    assert messages == ["on its way", "number 2", "number 3", "number 4"]


def test_a_rejected_entry_is_logged_with_its_problem(plane, holdfast, caplog):
    problem = {"title": "InvalidInput", "detail": "category: not a category"}
    plane.script.append((202, {}, {"results": [{"accepted": False, "problem": problem}]}))
    holdfast.report("boom")
    assert holdfast.flush(SOON)
    holdfast.close()
    assert "category: not a category" in caplog.text


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_logged_and_its_reports_wait(plane, holdfast, caplog, status):
    """Keys are changed, and not everywhere at one moment."""
    plane.script.append((status, {}, {"title": "Unauthenticated"}))
    holdfast.report("boom")
    assert holdfast.flush(SOON)
    assert f"refuses the key: HTTP {status}" in caplog.text
    assert "secret-key" not in caplog.text
    assert plane.counts == {"boom": 1}


def test_a_batch_that_is_too_large_is_halved(plane, holdfast):
    plane.gate.clear()
    holdfast.report("first")
    eventually(lambda: plane.requests)
    plane.script.extend([(202, {}, {"results": [ACCEPTED]}), (413, {}, {})])
    for number in range(4):
        holdfast.report(f"number {number}")
    plane.gate.set()
    assert holdfast.flush(SOON)
    assert [len(batch) for batch in plane.batches] == [2, 2]


def test_report_does_not_raise_for_an_error_that_cannot_be_told(holdfast, caplog):
    class Unspeakable(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    holdfast.report(Unspeakable())
    assert "could not be reported" in caplog.text


def test_report_after_the_close_is_counted_as_dropped(plane):
    holdfast = Holdfast(plane.url, "key", service="shop", spill=None)
    holdfast.close()
    holdfast.report("too late")
    assert holdfast.dropped == 1
    assert plane.requests == []


def test_close_gives_up_in_time_and_counts_what_is_left(plane, caplog):
    plane.gate.clear()
    holdfast = Holdfast(plane.url, "key", service="shop", spill=None)
    holdfast.report("on its way")
    eventually(lambda: plane.requests)
    holdfast.report("waiting")
    begun = monotonic()
    holdfast.close(timedelta(seconds=0.1))
    assert monotonic() - begun < 2
    assert holdfast.dropped == 1
    assert "2 reports never reached Holdfast" in caplog.text


def test_a_script_that_ends_at_once_still_reports(plane):
    """A script's last report is often the reason for its end."""
    script = f"""if True:
        from holdfast.client import Holdfast
        Holdfast({plane.url!r}, "key", service="script", spill=None).report("the end")
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    assert [entry["message"] for entry in plane.entries] == ["the end"]


@pytest.mark.parametrize(("url", "key"), [("localhost:8000", "k"), ("http://h", ""), ("", "k")])
def test_a_client_that_could_never_report_is_refused_when_it_is_made(url, key):
    with pytest.raises(ConfigurationError):
        Holdfast(url, key)


def test_backoff_doubles_to_a_cap_with_at_least_half_of_it_fixed():
    for attempt, longest in [(0, 0.5), (1, 1), (3, 4), (6, 30), (5000, 30)]:
        wait = backoff(attempt).total_seconds()
        assert longest / 2 <= wait <= longest <= LONGEST_WAIT.total_seconds()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("Thu, 01 Jan 2026 00:00:09 GMT", 9), ("soon", 0), ("", 0), ("99999999999", 300)],
)
def test_retry_after_reads_seconds_and_dates(header, seconds):
    response = httpx.Response(429, headers={"Retry-After": header})
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after(response, now=now) == timedelta(seconds=seconds)


def test_a_context_of_any_size_is_told_within_its_limits(plane, holdfast):
    """Nested widely, or with many ways round in circles: only so much is looked at."""
    wide = {str(number): [[[[number] * 100] * 100] * 100] * 100 for number in range(100)}
    circle: list = []
    circle.extend([circle] * 100)
    holdfast.report("wide", context={"wide": wide})
    holdfast.report("circle", context={"circle": circle, "order": 7})
    assert holdfast.flush(SOON)
    assert plane.counts == {"wide": 1, "circle": 1}

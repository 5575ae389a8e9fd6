"""What a service may rely on when it reports: nothing blocks, nothing raises, nothing is lost."""

import json
import logging
import subprocess
import sys
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import httpx
import pytest

from holdfast.client import Holdfast
from holdfast.client.courier import BATCH, LONGEST_WAIT, backoff, retry_after
from holdfast.domain.report import Report
from holdfast.errors import ConfigurationError

SOON = timedelta(seconds=10)
ACCEPTED = {"accepted": True, "fingerprint": "f", "incident_id": None, "repeat": False}


class ControlPlane:
    """A stand-in that speaks the intake's wire format; ``script`` holds its next odd answers."""

    def __init__(self):
        self.batches: list[list[dict]] = []
        self.requests: list[tuple[str, dict[str, str], float]] = []
        self.script: deque[tuple[int, dict[str, str], object]] = deque()
        self.gate = threading.Event()
        self.gate.set()
        plane = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                plane.requests.append((self.path, dict(self.headers), monotonic()))
                plane.gate.wait(SOON.total_seconds())
                if plane.script:
                    status, headers, answer = plane.script.popleft()
                else:
                    plane.batches.append(body)
                    status, headers, answer = 202, {}, {"results": [ACCEPTED] * len(body)}
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def entries(self):
        return [entry for batch in self.batches for entry in batch]

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def plane():
    plane = ControlPlane()
    yield plane
    plane.close()


@pytest.fixture
def holdfast(plane):
    with Holdfast(plane.url, "secret-key", service="shop") as holdfast:
        yield holdfast


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
    path, headers, _ = plane.requests[0]
    assert path == "/api/system/errors"
    assert headers["Authorization"] == "Bearer secret-key"


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
    for number in range(BATCH + 1):
        holdfast.report(f"number {number}")
    plane.gate.set()
    assert holdfast.flush(SOON)
    assert [entry["message"] for entry in plane.entries] == [
        f"number {number}" for number in range(BATCH + 1)
    ]
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
    first, second = (at for _, _, at in plane.requests)
    assert second - first >= 1


def test_reports_outlast_a_control_plane_that_is_not_there(plane, caplog):
    port = plane.server.server_port
    plane.close()
    with Holdfast(f"http://127.0.0.1:{port}", "key", service="shop") as holdfast:
        holdfast.report("while away")
        assert not holdfast.flush(timedelta(seconds=0.2))
        assert "Holdfast is away" in caplog.text
        revived = ThreadingHTTPServer(("127.0.0.1", port), plane.server.RequestHandlerClass)
        revived.daemon_threads = True
        threading.Thread(target=revived.serve_forever, args=(0.02,), daemon=True).start()
        assert holdfast.flush(SOON)
        revived.shutdown()
        revived.server_close()
    assert [entry["message"] for entry in plane.entries] == ["while away"]


def test_when_full_the_oldest_are_dropped_and_counted(plane):
    plane.gate.clear()
    with Holdfast(plane.url, "key", service="shop", capacity=3) as holdfast:
        holdfast.report("on its way")
        wait_for_request(plane)
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


def test_a_refused_key_is_logged_and_not_tried_again(plane, holdfast, caplog):
    plane.script.append((401, {}, {"title": "Unauthenticated"}))
    holdfast.report("boom")
    assert holdfast.flush(SOON)
    holdfast.close()
    assert "401" in caplog.text
    assert "secret-key" not in caplog.text
    assert len(plane.requests) == 1


def test_a_batch_that_is_too_large_is_halved(plane, holdfast):
    plane.gate.clear()
    holdfast.report("first")
    wait_for_request(plane)
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
    holdfast = Holdfast(plane.url, "key", service="shop")
    holdfast.close()
    holdfast.report("too late")
    assert holdfast.dropped == 1
    assert plane.requests == []


def test_close_gives_up_in_time_and_counts_what_is_left(plane, caplog):
    plane.gate.clear()
    holdfast = Holdfast(plane.url, "key", service="shop")
    holdfast.report("on its way")
    wait_for_request(plane)
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
        Holdfast({plane.url!r}, "key", service="script").report("the end")
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


def wait_for_request(plane):
    deadline = monotonic() + SOON.total_seconds()
    while not plane.requests:
        assert monotonic() < deadline, "no request arrived"
        threading.Event().wait(0.01)


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO, logger="holdfast")

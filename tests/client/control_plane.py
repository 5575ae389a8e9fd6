"""A stand-in for Holdfast's API, as far as the client's sending threads know it."""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import NamedTuple

LONGEST = 10.0
ACCEPTED = {"accepted": True, "fingerprint": "f", "incident_id": None, "repeat": False}


class Request(NamedTuple):
    path: str
    headers: dict[str, str]
    body: object
    at: float


class ControlPlane:
    """Counts a request of one key once. ``script`` holds its next odd answers to reports.

    While ``is_away`` it answers 503; while ``gate`` is cleared it does not answer at all.
    """

    def __init__(self, port=0):
        self.requests: list[Request] = []
        self.batches: list[list[dict]] = []
        self.keys: set[str] = set()
        self.outcomes: list[dict] = []
        self.leases: list[tuple[str, dict]] = []
        self.lease_answer: tuple[int, object] = (200, {"granted": False, "reason": "not now"})
        self.script: deque[tuple[int, dict[str, str], object]] = deque()
        self.is_away = False
        self.gate = threading.Event()
        self.gate.set()
        self._handler = self._made_handler()
        self.open(port)

    def open(self, port):
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def entries(self):
        return [entry for batch in self.batches for entry in batch]

    @property
    def counts(self):
        """How often each message was reported."""
        counts: dict[str, int] = {}
        for entry in self.entries:
            counts[entry["message"]] = counts.get(entry["message"], 0) + entry.get("count", 1)
        return counts

    def posts(self, path="/api/system/errors"):
        return [request for request in self.requests if request.path == path]

    def answer(self, request):
        self.requests.append(request)
        self.gate.wait(LONGEST)
        if self.is_away:
            return 503, {}, {"title": "Unavailable"}
        if request.path == "/api/system/outcomes":
            self.outcomes.append(request.body)
            return 204, {}, None
        if request.path.endswith("/lease"):
            self.leases.append((request.path.split("/")[-2], request.body))
            status, body = self.lease_answer
            return status, {}, body
        if self.script:
            return self.script.popleft()
        self.take(request)
        return 202, {}, {"results": [ACCEPTED] * len(request.body)}

    def take(self, request):
        """Count what was reported, as the API does: once for each key."""
        key = request.headers["Idempotency-Key"]
        if key not in self.keys:
            self.keys.add(key)
            self.batches.append(request.body)

    def _made_handler(self):
        plane = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                request = Request(self.path, dict(self.headers), body, monotonic())
                status, headers, answer = plane.answer(request)
                content = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self):
                # The stream's thread; what it hears is no matter here.
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler


def eventually(condition, *, within=LONGEST):
    """Wait until it is true."""
    deadline = monotonic() + within
    while not condition():
        assert monotonic() < deadline, "it never came true"
        threading.Event().wait(0.01)

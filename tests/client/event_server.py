"""A stand-in for the API's event stream, which sends what the test says."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HANG_UP = object()
HEARTBEAT = 'event: heartbeat\ndata: {"current":true}\n\n'


def guidance(*services):
    return json.dumps({"services": list(services)})


def open_breaker(service="payments", epoch=1):
    return {"service": service, "breaker": {"status": "open", "epoch": epoch}}


class EventServer:
    """Answers ``/events`` from :attr:`script`, piece by piece, and ``/features`` at once."""

    def __init__(self):
        self.script = queue.SimpleQueue()
        self.events_status = 200
        self.features = (404, None, b"")
        self.connections = []
        self.polls = []
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def note(self, requests, headers):
        with self.changed:
            requests.append(headers)
            self.changed.notify_all()

    def send(self, kind, data, *, position=None):
        head = f"id: {position}\n" if position else ""
        self.script.put(f"{head}event: {kind}\ndata: {data}\n\n")

    def heartbeat(self):
        self.script.put(HEARTBEAT)

    def hang_up(self):
        self.script.put(HANG_UP)

    def wait_for(self, condition, timeout=10):
        with self.changed:
            assert self.changed.wait_for(condition, timeout)

    def close(self):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        stand_in = self.server.stand_in
        if self.path.startswith("/api/system/events"):
            stand_in.note(stand_in.connections, dict(self.headers))
            self.stream()
        else:
            stand_in.note(stand_in.polls, dict(self.headers))
            self.answer()

    def answer(self):
        status, etag, body = self.server.stand_in.features
        if etag and self.headers["If-None-Match"] == etag:
            status, body = 304, b""
        self.send_response(status)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        stand_in, self.close_connection = self.server.stand_in, True
        status = stand_in.events_status
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        while status == 200 and not stand_in.closing.is_set():
            try:
                piece = stand_in.script.get(timeout=0.02)
            except queue.Empty:
                continue
            if piece is HANG_UP:
                return
            self.wfile.write(piece.encode())
            self.wfile.flush()

    def log_message(self, *_):
        pass

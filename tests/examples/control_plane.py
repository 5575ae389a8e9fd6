"""The channel service in its tests: its processes, and a stand-in for Holdfast's API."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic

import httpx
import psutil
import yaml
from standardwebhooks import Webhook

from examples.channels.tether import tethered
from holdfast.domain.guidance import ServiceGuidance
from holdfast.domain.lease import LeaseRequest
from holdfast.domain.outcome import OutcomeBatch
from holdfast.domain.report import Report

ROOT = Path(__file__).parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# Seconds in fact; a busy machine may take its time.
DEADLINE = 30
HEARTBEAT = 2
_PROGRESS = re.compile(r"frames=(\d+) bytes=(\d+)$")


def wait_for(condition):
    """The condition's first truthy value."""
    deadline = monotonic() + DEADLINE
    while not (value := condition()):
        assert monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)
    return value


class ControlPlane:
    """Stands in for Holdfast's API, and refuses what Holdfast would refuse.

    Attributes:
        reports: What it was told of errors.
        batches: What it was told of guarded calls.
        leases: Who asked to make a probe call of what; it lets everybody.
    """

    def __init__(self):
        self.reports: list[Report] = []
        self.batches: list[OutcomeBatch] = []
        self.leases: list[tuple[str, LeaseRequest]] = []
        self._guidance: dict[str, ServiceGuidance] = {}
        self._streams: list[SimpleQueue[bytes]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def of(self, fingerprint):
        return [report for report in self.reports if report.fingerprint == fingerprint]

    def outcomes(self, service):
        told = [each for batch in self.batches for each in batch.outcomes]
        return [each for each in told if each.service == service]

    def probes(self, service):
        told = [each for batch in self.batches for each in batch.probes]
        return [each for each in told if each.service == service]

    def say(self, service, **guidance):
        """Tell everybody what holds of a service from now on."""
        told = ServiceGuidance(service=service, **guidance)
        self._guidance[service] = told
        for stream in self._streams:
            stream.put(_event("service", told.model_dump_json()))

    def stream(self):
        """The events of one client, as they come."""
        queue: SimpleQueue[bytes] = SimpleQueue()
        self._streams.append(queue)
        known = ",".join(each.model_dump_json() for each in self._guidance.values())
        yield _event("snapshot", f'{{"services":[{known}]}}')
        yield _HEARTBEAT
        while True:
            try:
                event = queue.get(timeout=HEARTBEAT)
            except Empty:
                event = _HEARTBEAT
            if not event:
                return
            yield event

    def close(self):
        for stream in self._streams:
            stream.put(b"")
        self.server.shutdown()
        self.server.server_close()


def _event(kind, text):
    return f"id: policy.1\nevent: {kind}\ndata: {text}\n\n".encode()


_HEARTBEAT = _event("heartbeat", '{"current":true}')


def _handler(plane):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path.startswith("/api/system/events"), self.path
            assert self.headers["Authorization"] == "Bearer key"
            self._answer(200, b"", kind="text/event-stream")
            try:
                for event in plane.stream():
                    self.wfile.write(event)
            except OSError:
                pass  # the service is gone

        def do_POST(self):
            assert self.headers["Authorization"] == "Bearer key"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            place = self.path.removeprefix("/api/system/")
            if place == "errors":
                entries = json.loads(body)
                plane.reports += [Report.model_validate(entry) for entry in entries]
                self._answer(202, json.dumps({"results": [{"accepted": True}] * len(entries)}))
            elif place == "outcomes":
                plane.batches.append(OutcomeBatch.model_validate_json(body))
                self._answer(204, "")
            else:
                kind, service, what = place.split("/")
                assert (kind, what) == ("circuit-breakers", "lease"), place
                plane.leases.append((service, LeaseRequest.model_validate_json(body)))
                self._answer(200, '{"granted": true, "expires_in": "PT10S", "reason": "go"}')

        def _answer(self, status, content, *, kind="application/json"):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content.encode() if isinstance(content, str) else content)

        def log_message(self, *_):
            pass

    return Handler


class Stage:
    """Ingests and the service as processes of their own, on free ports."""

    def __init__(self, directory, *channels):
        self.directory = directory
        self.processes: list[subprocess.Popen] = []
        self.holdfast = ControlPlane()
        [service, standby, *primaries] = free_ports(2 + len(channels))
        self.ingests = {
            name: self.start("ingest", "--port", str(port), "--name", name)
            for name, port in zip(("standby", *channels), (standby, *primaries), strict=True)
        }
        config = directory / "channels.yaml"
        listed = [
            {
                "name": name,
                "primary": f"rtmp://127.0.0.1:{port}/live/{name}-key",
                "standby": f"rtmp://127.0.0.1:{standby}/live/{name}-key",
            }
            for name, port in zip(channels, primaries, strict=True)
        ]
        config.write_text(yaml.safe_dump({"channels": listed}))
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{service}", timeout=DEADLINE)
        self.service = self.start(
            "__main__",
            CHANNELS_PORT=str(service),
            CHANNELS_CONFIG=str(config),
            CHANNELS_NO_FRAMES_AFTER="2",
            CHANNELS_REPORT_EVERY="0.5",
            CHANNELS_ACTION_SECRET=SECRET,
            HOLDFAST_URL=self.holdfast.url,
            HOLDFAST_KEY="key",
            HOLDFAST_SPILL=str(directory),
        )
        for name in channels:
            wait_for(lambda name=name: self.healthy(name))

    def start(self, module, *arguments, **environment):
        command = [sys.executable, "-m", f"examples.channels.{module}", *arguments]
        name = arguments[-1] if arguments else module
        with (self.directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                tethered(command), cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def channel(self, name):
        return self.http.get(f"/channels/{name}").json()

    def healthy(self, name):
        try:
            return self.http.get(f"/channels/{name}/health").status_code == 200
        except httpx.TransportError:
            return False

    def act(self, name, action, **headers):
        now = datetime.now(UTC)
        signature = Webhook(SECRET).sign("msg_1", now, "{}")
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        return self.http.post(f"/channels/{name}/{action}", content="{}", headers=signed | headers)

    def received(self, ingest):
        """The frames and bytes that an ingest has of its present publisher."""
        *_, last = ["", *(self.directory / f"{ingest}.log").read_text().splitlines()]
        found = _PROGRESS.search(last)
        return tuple(map(int, found.groups())) if found else (0, 0)

    def ffmpegs(self):
        return [
            child
            for process in self.processes
            if process.poll() is None
            for child in psutil.Process(process.pid).children(recursive=True)
        ]

    def end(self, number):
        """Send the signal to every process, and see that no ffmpeg is left."""
        children = self.ffmpegs()
        for process in self.processes:
            process.send_signal(number)
        for process in self.processes:
            process.wait(DEADLINE)
        wait_for(lambda: not any(lives(child) for child in children))
        self.http.close()
        self.holdfast.close()


def lives(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_ports(count):
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [each.getsockname()[1] for each in sockets]

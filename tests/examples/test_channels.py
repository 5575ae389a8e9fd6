"""The channel service for real: ffmpeg publishing over RTMP to ffmpeg, broken on purpose."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import httpx
import psutil
import pytest
import yaml
from standardwebhooks import Webhook

from examples.channels.run import Fault, Run
from examples.channels.settings import ChannelConfig, Feed
from examples.channels.tether import tethered
from holdfast.domain.report import Report

ROOT = Path(__file__).parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEADLINE = 10


def wait_for(condition):
    """The condition's first truthy value."""
    deadline = monotonic() + DEADLINE
    while not (value := condition()):
        assert monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.02)
    return value


class Receiver:
    """Stands in for Holdfast's intake, and refuses what Holdfast would refuse."""

    def __init__(self):
        self.reports: list[Report] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/api/system/errors"
                assert self.headers["Authorization"] == "Bearer key"
                receiver.reports += [Report.model_validate(entry) for entry in entries]
                self.send_response(202)
                self.end_headers()
                self.wfile.write(
                    json.dumps({"results": [{"accepted": True}] * len(entries)}).encode()
                )

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def of(self, fingerprint):
        return [report for report in self.reports if report.fingerprint == fingerprint]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Stage:
    """Ingests and the service as processes of their own, on free ports."""

    def __init__(self, directory, *channels):
        self.directory = directory
        self.processes: list[subprocess.Popen] = []
        self.receiver = Receiver()
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
            HOLDFAST_URL=self.receiver.url,
            HOLDFAST_KEY="key",
        )
        for name in channels:
            wait_for(lambda name=name: self.healthy(name))

    def start(self, module, *arguments, **environment):
        command = [sys.executable, "-m", f"examples.channels.{module}", *arguments]
        with (self.directory / f"{module}-{len(self.processes)}.log").open("w") as log:
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
        self.receiver.close()


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


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One stage for all tests, in which each breaks a channel of its own."""
    stage = Stage(tmp_path_factory.mktemp("channels"), "killed", "stalled", "lost", "well")
    yield stage
    stage.end(signal.SIGTERM)


def test_a_killed_publisher_is_reported_until_a_signed_restart_brings_frames_back(stage):
    os.kill(stage.channel("killed")["pid"], signal.SIGKILL)
    first, *_ = wait_for(lambda: stage.receiver.of("StreamProcessDied:killed")[:2])
    health = stage.http.get("/channels/killed/health")
    assert (health.status_code, health.json()["status"]) == (503, "down")
    assert "SIGKILL" in health.json()["reason"]
    assert (first.service, first.error_type) == ("channels", "StreamProcessDied")
    assert first.labels == {"channel": "killed"}
    assert first.context["exit_code"] == -9
    assert first.context["frames"] > 0

    assert stage.act("killed", "restart").status_code == 200
    told = len(stage.receiver.of("StreamProcessDied:killed"))
    frames = stage.channel("killed")["frames"]
    wait_for(lambda: stage.channel("killed")["frames"] > frames > 0)
    assert stage.healthy("killed")
    assert len(stage.receiver.of("StreamProcessDied:killed")) == told, "and silence from then on"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "nonsense"},
        {"webhook-timestamp": "1"},
    ],
)
def test_an_action_without_a_good_signature_is_refused(stage, headers):
    if headers:
        answer = stage.act("well", "restart", **headers)
    else:
        answer = stage.http.post("/channels/well/restart")
    assert answer.status_code == 401


def test_a_repeated_idempotency_key_gets_the_stored_answer(stage):
    key = {"Idempotency-Key": "incident-1:restart"}
    first = stage.act("well", "restart", **key)
    pid = stage.channel("well")["pid"]
    second = stage.act("well", "restart", **key)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert stage.channel("well")["pid"] == pid


def test_a_publisher_that_is_stuck_is_reported_for_its_missing_frames(stage):
    os.kill(stage.channel("stalled")["pid"], signal.SIGSTOP)
    [report] = wait_for(lambda: stage.receiver.of("NoFrames:stalled")[:1])
    assert report.context["exit_code"] is None
    assert stage.http.get("/channels/stalled/health").status_code == 503
    assert stage.act("stalled", "restart").status_code == 200


def test_a_lost_ingest_is_reported_and_the_standby_takes_over(stage):
    stage.ingests["lost"].terminate()
    [lost] = wait_for(lambda: stage.receiver.of("RtmpConnectionLost:lost")[:1])
    assert "Broken pipe" in " ".join(lost.context["stderr_tail"])

    answer = stage.act("lost", "restart")
    assert answer.status_code == 503
    assert answer.json()["reason"].startswith("RtmpConnectionRefused")
    assert "lost-key" not in answer.text, "the stream key is a secret"
    [refused] = wait_for(lambda: stage.receiver.of("RtmpConnectionRefused:lost")[:1])
    assert "lost-key" not in refused.model_dump_json()

    assert stage.act("lost", "fallback").status_code == 200
    standing = stage.channel("lost")
    assert (standing["feed"], standing["status"]) == ("standby", "on_air")

    assert stage.act("lost", "restore").status_code == 503, "the primary is still away"
    assert stage.channel("lost")["pid"] == standing["pid"], "and the standby stays on the air"


def test_the_service_tells_of_itself_and_its_channels(stage):
    assert stage.http.get("/health").status_code == 200
    names = [channel["name"] for channel in stage.http.get("/channels").json()]
    assert names == ["killed", "stalled", "lost", "well"]
    assert stage.http.get("/channels/none").status_code == 404


def test_killed_supervisors_leave_no_ffmpeg_behind(tmp_path):
    stage = Stage(tmp_path, "news")
    assert len(stage.ffmpegs()) == 3
    stage.end(signal.SIGKILL)


NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = timedelta(seconds=5)


@pytest.mark.parametrize(
    ("exit_code", "words", "fault"),
    [
        (145, "Connection to tcp://h:1 failed: Connection refused", Fault.REFUSED),
        (224, "Error submitting a packet to the muxer: Broken pipe", Fault.LOST),
        (152, "Error opening output rtmp://h/live: Connection reset by peer", Fault.LOST),
        (251, "Cannot open connection tcp://nowhere:1935", Fault.LOST),
        (-9, "Broken pipe", Fault.PROCESS_DIED),
        (255, "", Fault.PROCESS_DIED),
    ],
)
def test_the_last_words_of_ffmpeg_name_the_fault(exit_code, words, fault):
    run = Run(started_at=NOW).ended(exit_code, (words,) if words else ())
    assert run.failure(NOW, patience=PATIENCE).fault is fault


def test_a_run_has_its_patience_to_bring_the_first_frame():
    run = Run(started_at=NOW)
    assert run.failure(NOW + PATIENCE, patience=PATIENCE) is None
    assert run.failure(NOW + PATIENCE * 2, patience=PATIENCE).fault is Fault.NO_FRAMES
    assert not run.on_air(NOW, patience=PATIENCE)


def test_a_frame_count_that_stands_still_is_no_new_frame():
    run = Run(started_at=NOW).advanced(15, now=NOW).advanced(15, now=NOW + PATIENCE)
    assert run.last_frame_at == NOW
    assert run.on_air(NOW + PATIENCE, patience=PATIENCE)


def test_no_stream_key_is_shown():
    config = ChannelConfig(name="n", primary="rtmp://a/live/key1", standby="rtmp://b/live/key2")
    assert config.shown(Feed.PRIMARY) == "rtmp://a/live"
    assert config.without_keys("opening rtmp://b/live/key2: no") == "opening rtmp://b/live: no"

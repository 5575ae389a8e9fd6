"""``python -m standalone`` as a person starts, interrupts, kills and restarts it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import httpx
import psutil
import pytest

from standalone.ports import free_ports
from standalone.system import System
from tests.end_to_end.conftest import temporary_home

ROOT = Path(__file__).parents[2]
STARTED_WITHIN = 60
STOPPED_WITHIN = 10
LAST_LINE = "Ctrl-C stops everything"


@dataclass
class Up:
    """A ``python -m standalone`` under way."""

    home: Path
    ports: list[int]
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def api(self):
        return f"http://127.0.0.1:{self.ports[0]}/api/system"

    @property
    def key(self):
        return (self.home / "admin.key").read_text().strip()

    def get(self, path):
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(f"{self.api}{path}", headers=headers).raise_for_status().json()

    def report(self, service):
        report = {"service": service, "error_type": "Broken", "message": "it broke"}
        headers = {"Authorization": f"Bearer {self.key}"}
        httpx.post(f"{self.api}/errors", json=report, headers=headers).raise_for_status()

    def family(self):
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def read_on(self):
        """Collect what it prints, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_until_started(self):
        wait_for(lambda: self.process.poll() is not None or LAST_LINE in "".join(self.lines))
        assert self.process.poll() is None, "".join(self.lines)


def wait_for(condition, within=STARTED_WITHIN):
    deadline = monotonic() + within
    while not (value := condition()):
        assert monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.05)
    return value


def spawn(home, ports):
    names = ("HOLDFAST_PORT", "HOLDFAST_TEMPORAL_PORT", "HOLDFAST_TEMPORAL_UI_PORT")
    settings = dict(zip(names, map(str, ports), strict=True))
    return subprocess.Popen(
        [sys.executable, "-m", "standalone"],
        cwd=ROOT,
        env=os.environ | settings | {"HOLDFAST_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def up(home, ports=None) -> Iterator[Up]:
    ports = ports or free_ports(3)
    started = Up(home, ports, spawn(home, ports))
    reader = threading.Thread(target=started.read_on)
    reader.start()
    try:
        started.wait_until_started()
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        reader.join()
        assert started.process.stdout is not None
        started.process.stdout.close()


def refusal(home, ports):
    """The exit code and the output of a start that does not get far."""
    process = spawn(home, ports)
    output, _ = process.communicate(timeout=STOPPED_WITHIN)
    return process.returncode, output


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """One that nobody stops."""
    with temporary_home() as folder, up(folder) as started:
        yield started


def alive(processes):
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("taken", "setting"),
    [(0, "HOLDFAST_PORT"), (1, "HOLDFAST_TEMPORAL_PORT"), (2, "HOLDFAST_TEMPORAL_UI_PORT")],
)
def test_a_taken_port_is_refused_before_anything_starts(home, taken, setting):
    """One line names the port and the setting that moves it, and the exit code is 2."""
    ports = free_ports(3)
    with socket.create_server(("127.0.0.1", ports[taken])):
        code, output = refusal(home, ports)
    assert code == 2
    assert f"port {ports[taken]} " in output
    assert setting in output
    assert len(output.splitlines()) == 1
    assert not (home / "postgres").exists()


def test_a_second_system_on_the_same_folder_is_refused(running):
    """Two servers on one data folder would ruin it; the message names who holds it."""
    code, output = refusal(running.home, free_ports(3))
    assert code == 2
    assert str(running.home) in output
    assert str(running.process.pid) in output


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl, as the printed command does")
def test_the_printed_command_works_when_pasted(running):
    """A shell runs it as it stands, and the report is taken."""
    printed = "".join(running.lines)
    command = printed[printed.index("curl") : printed.index(f"\n\n{LAST_LINE}")]
    subprocess.run(["sh", "-c", f"{command} --fail"], check=True, capture_output=True)
    wait_for(lambda: "channels" in str(running.get("/errors/active")))


def test_ctrl_c_stops_everything(home):
    """It ends with 0 within ten seconds, and no process of it is left."""
    with up(home) as system:
        family = system.family()
        system.process.send_signal(signal.SIGINT)
        assert system.process.wait(STOPPED_WITHIN) == 0
    assert not alive(family)


def test_a_restart_keeps_everything(home):
    """SIGTERM stops it as Ctrl-C does; the admin's key and the incidents outlive the processes."""
    with up(home) as system:
        key, family = system.key, system.family()
        system.report("keeper")
        wait_for(lambda: "keeper" in str(system.get("/errors/active")))
        system.process.terminate()
        assert system.process.wait(STOPPED_WITHIN) == 0
        assert not alive(family)
    with up(home, system.ports) as again:
        assert again.key == key
        assert key not in "".join(again.lines)
        assert "keeper" in str(again.get("/errors/active"))


def test_nothing_outlives_a_killed_supervisor(home):
    """SIGKILL leaves no time to stop the children: the kernel does; the next start is clean."""
    with up(home) as system:
        family = system.family()
        system.process.kill()
        wait_for(lambda: not alive(family), STOPPED_WITHIN)
    with up(home, system.ports) as again:
        assert again.get("/errors/active") is not None


@pytest.mark.parametrize("part", ["worker", "api", "temporal", "postgres"])
async def test_a_crashed_part_comes_back(system: System, capsys, part):
    """Whatever dies is started again, and the person at the terminal is told."""
    before = system.pid(part)
    await system.crash(part)
    await system.start_part(part)
    await system.wait_until_healthy()
    assert system.pid(part) != before
    assert f"{part} was ended by SIGKILL; starting it again" in capsys.readouterr().out

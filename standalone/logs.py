"""Owns what the children print: one bounded file each, and the few lines worth a look at once."""

import re
import time
from collections import deque
from datetime import timedelta
from pathlib import Path

FILE_LIMIT = 20_000_000
SHOWN_AT_MOST = 5
SHOWN_WITHIN = timedelta(seconds=10)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ALARM = re.compile(
    r"^(warning|error|critical)\b"  # uvicorn and the standard library
    r"|\[(warning|error|critical)\s*\]"  # structlog's text
    r'|"level": ?"(warning|error|critical)"',  # structlog's JSON
    re.IGNORECASE,
)


class ChildLog:
    """The log file of one child, which the child itself writes.

    The child holds the file, so it never waits for the supervisor; the supervisor reads along.
    What an earlier start wrote is kept once, as ``<name>.log.1``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to = 0
        self._shown: deque[float] = deque()
        self._keep_old()
        self.path.touch()

    def tail(self, lines: int = 20) -> str:
        """The last lines, for an error message."""
        return "\n".join(self.path.read_text(errors="replace").splitlines()[-lines:])

    def alarms(self) -> list[str]:
        """The warnings and errors since the last call, cut short when there are many."""
        found = [line for line in self._fresh_lines() if _ALARM.search(line[:200])]
        alarms = []
        for line in found:
            if not self._may_show():
                break
            alarms.append(line)
        if alarms and len(self._shown) == SHOWN_AT_MOST:
            alarms.append(f"(more in {self.path})")
        return alarms

    def _fresh_lines(self) -> list[str]:
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            fresh = file.read(FILE_LIMIT)
        whole, newline, _ = fresh.rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        if self.path.stat().st_size > FILE_LIMIT:
            self._start_over()
        return _COLOUR.sub("", whole.decode(errors="replace")).splitlines()

    def _start_over(self) -> None:
        # The child appends to the very file, so it is emptied in place, not replaced.
        self._keep_old(copy=True)
        self.path.write_bytes(b"")
        self._read_to = 0

    def _keep_old(self, *, copy: bool = False) -> None:
        if not self.path.exists():
            return
        old = self.path.with_name(f"{self.path.name}.1")
        if copy:
            old.write_bytes(self.path.read_bytes())
        else:
            self.path.replace(old)

    def _may_show(self) -> bool:
        now = time.monotonic()
        while self._shown and now - self._shown[0] > SHOWN_WITHIN.total_seconds():
            self._shown.popleft()
        if len(self._shown) >= SHOWN_AT_MOST:
            return False
        self._shown.append(now)
        return True

"""The spill: batches on disk, for as long as Holdfast is away, and for the next process after that.

Each process has a file of its own, which it holds locked while it lives; a file that nobody holds
was left behind, and whoever finds it sends what is in it. A batch may be sent twice when a process
dies in between: its key makes that harmless.
"""

import logging
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import NamedTuple, Self
from uuid import uuid4

from holdfast.client.batch import Batch

try:
    import fcntl
except ImportError:  # Windows: without locks that end with their process there is no spill.
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("holdfast")

MOST_BYTES = 32 * 1024 * 1024
# How often to begin a file that others got hold of first, before there must be another reason.
_BEGINNINGS = 5
_BATCH = b'{"key"'
_SENT = re.compile(rb'\{"sent": (\d{1,18})\}\n')


class Record(NamedTuple):
    """Where a batch is kept."""

    file: "SpillFile"
    offset: int
    length: int


class SpillFile:
    """One file: a line for each batch, and a line for each that was sent before it was empty.

    Args:
        path: Its name.
        descriptor: It, open and locked.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.records: deque[Record] = deque()

    @classmethod
    def opened(cls, path: Path, *, new: bool) -> Self | None:
        """Open, lock and read a file; None if another process holds it, or it isn't this user's.

        Raises:
            OSError: It can't be opened or read, or this file system has no locks.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if new else 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(descriptor)
            # Whoever held it before may have sent and removed it between our open and our lock.
            is_it = path.lstat().st_ino == status.st_ino and status.st_uid == os.geteuid()
            if is_it and stat.S_ISREG(status.st_mode):
                file = cls(path, descriptor)
                file._index()
                return file
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            cls._let_go(path, descriptor, new=new)
            raise
        cls._let_go(path, descriptor, new=new)
        return None

    @staticmethod
    def _let_go(path: Path, descriptor: int, *, new: bool) -> None:
        os.close(descriptor)
        if new:
            path.unlink(missing_ok=True)

    def _index(self) -> None:
        """Find what a former process left in it."""
        offset = 0
        kept: dict[int, Record] = {}
        with os.fdopen(os.dup(self.descriptor), "rb") as lines:
            lines.seek(0)
            for line in lines:
                if line.startswith(_BATCH) and line.endswith(b"}\n"):
                    kept[offset] = Record(self, offset, len(line))
                elif sent := _SENT.fullmatch(line):
                    kept.pop(int(sent[1]), None)
                offset += len(line)
        self.records.extend(kept.values())

    def append(self, line: bytes) -> int:
        """Write a line at the end, all of it or nothing; gives where it begins.

        Raises:
            OSError: The disk took no more.
        """
        offset = self.size
        try:
            written = os.write(self.descriptor, line)
            while written < len(line):
                written += os.write(self.descriptor, line[written:])
        except OSError:
            os.ftruncate(self.descriptor, offset)
            raise
        self.size += len(line)
        return offset

    def strike(self, record: Record) -> None:
        """Take a batch off the file's account."""
        with suppress(ValueError):
            self.records.remove(record)
        if self.records:
            self.append(b'{"sent": %d}\n' % record.offset)
        else:
            os.ftruncate(self.descriptor, 0)
            self.size = 0

    def close(self) -> None:
        """Leave it to others, or remove it when nothing is in it."""
        if not self.records:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


class Spill:
    """Keeps batches in files; never raises, what can't be kept is simply not kept.

    Args:
        folder: Where the files are; None keeps nothing.
        url: For which Holdfast they are.
        service: Who reports.
        most_bytes: So much and no more.
    """

    def __init__(
        self, folder: Path | None, *, url: str, service: str | None, most_bytes: int = MOST_BYTES
    ) -> None:
        self._folder = folder if fcntl else None
        digest = sha256(f"{url}\0{service or ''}".encode()).hexdigest()[:16]
        self._name = f"{service or 'reports'}-{digest}"
        self._most_bytes = most_bytes
        self._own: SpillFile | None = None
        self._adopted: deque[SpillFile] = deque()
        self._lock = RLock()

    def keep(self, batch: Batch) -> Record | None:
        """Write a batch down; None if that is not possible."""
        line = batch.line
        with self._lock:
            if not self._folder or self._size + len(line) > self._most_bytes:
                return None
            try:
                self._own = file = self._own or self._created(self._folder)
                record = Record(file, file.append(line), len(line))
            except OSError as error:
                logger.warning("Reports can't be kept in %s: %s", self._folder, error)
                return None
            file.records.append(record)
            return record

    def adopt(self) -> None:
        """Look for what former processes of this service and user left behind."""
        with self._lock:
            for path in self._left_behind():
                with suppress(OSError):
                    if file := SpillFile.opened(path, new=False):
                        self._adopted.append(file)
            self._let_go_of_empty_ones()

    def oldest(self) -> tuple[Record, Batch | None] | None:
        """The batch to send next, itself None if it can't be read; None when nothing is kept."""
        with self._lock:
            file = next((each for each in self._files if each.records), None)
            if file is None:
                return None
            record = file.records[0]
            try:
                line = os.pread(file.descriptor, record.length, record.offset)
                return record, Batch.read(line)
            except (OSError, ValueError) as error:
                logger.warning("A batch of reports in %s is lost: %s", file.path, error)
                return record, None

    def postpone(self, record: Record | None) -> None:
        """Have the others go first: it may be this batch that Holdfast fails at."""
        with self._lock:
            if record and record in record.file.records:
                record.file.records.remove(record)
                record.file.records.append(record)

    def strike(self, record: Record) -> None:
        """Take a batch off: it was answered. Harmless once the file is closed."""
        with self._lock:
            if record.file in self._files:
                # If it can't be noted, it is sent again, which its key makes harmless.
                with suppress(OSError):
                    record.file.strike(record)
                self._let_go_of_empty_ones()

    def close(self) -> None:
        """Leave what is kept to a later process, and keep no more."""
        with self._lock:
            # A thread that is late would hold on to a file until the process ends.
            self._folder = None
            for file in self._files:
                with suppress(OSError):
                    file.close()
            self._own = None
            self._adopted.clear()

    def abandon(self) -> None:
        """Forget the files without touching them: in a forked child they are the parent's.

        No lock is taken: at the fork, a thread that no longer exists may have held it.
        """
        for file in self._files:
            with suppress(OSError):
                os.close(file.descriptor)
        self._own = None
        self._adopted = deque()

    def __len__(self) -> int:
        """How many batches are kept."""
        return sum(len(file.records) for file in self._files)

    @property
    def _files(self) -> list[SpillFile]:
        return [*self._adopted, *([self._own] if self._own else [])]

    @property
    def _size(self) -> int:
        return sum(file.size for file in self._files)

    def _created(self, folder: Path) -> SpillFile:
        # The files themselves are private, so the folder need not be.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(_BEGINNINGS):
            path = folder / f"{self._name}-{os.getpid()}-{uuid4().hex[:8]}.jsonl"
            # A process that looks for what was left behind may have got hold of the new file.
            if file := SpillFile.opened(path, new=True):
                return file
        raise OSError("its files belong to another user")

    def _left_behind(self) -> Iterator[Path]:
        if not self._folder:
            return
        mine = {file.path for file in self._files}
        with suppress(OSError):
            for path in sorted(self._folder.glob(f"{self._name}-*.jsonl")):
                if path not in mine:
                    yield path

    def _let_go_of_empty_ones(self) -> None:
        for file in [each for each in self._adopted if not each.records]:
            self._adopted.remove(file)
            with suppress(OSError):
                file.close()

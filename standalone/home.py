"""Owns the folder that the standalone system keeps its data in: lock, secrets, logs, stores."""

import fcntl
import os
import secrets
from pathlib import Path

from holdfast.errors import ConfigurationError
from standalone.logs import ChildLog


class Home:
    """The data folder (``HOLDFAST_HOME``); one running system at a time.

    Args:
        path: The folder; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.postgres = self.path / "postgres"
        self.temporal = self.path / "temporal.db"
        self.admin_key = self.path / "admin.key"
        self.link_secret = self.path / "link.secret"
        self.logs = self.path / "logs"
        self._lock_file = self.path / "lock"
        self._lock: int | None = None

    def acquire(self) -> None:
        """Make the folder and hold it until ``release`` or the death of this process.

        Raises:
            ConfigurationError: Another system runs on this folder, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise ConfigurationError(
                f"HOLDFAST_HOME={self.path} cannot be used: {error.strerror}"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 100).decode().strip()
            os.close(lock)
            raise ConfigurationError(
                f"HOLDFAST_HOME={self.path} is in use by a running system ({holder}): "
                "stop that one, or set HOLDFAST_HOME to another folder"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"pid {os.getpid()}".encode())
        self._lock = lock

    def release(self) -> None:
        """Let another system use the folder; harmless when it is not held."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def log(self, name: str) -> ChildLog:
        """The log of one child; what an earlier start wrote moves aside."""
        return ChildLog(self.logs / f"{name}.log")

    def ensure_admin_key(self) -> tuple[str, bool]:
        """The admin's key that this folder keeps, and whether it was made just now."""
        return _ensure(self.admin_key, prefix="hf_")

    def ensure_link_secret(self) -> str:
        """The secret that signs the links in emails, made when this folder has none yet."""
        secret, _ = _ensure(self.link_secret)
        return secret


def _ensure(path: Path, *, prefix: str = "") -> tuple[str, bool]:
    """The secret that a file keeps, and whether it was made just now."""
    if path.exists():
        return path.read_text().strip(), False
    secret = f"{prefix}{secrets.token_urlsafe(32)}"
    # Complete and private before it gets its name: a crash leaves no empty or readable secret.
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secret}\n")
    draft.replace(path)
    return secret, True

"""The one object that a service holds: it takes reports and keeps a thread that sends them."""

import atexit
import logging
from collections.abc import Mapping
from datetime import timedelta
from threading import Lock, Thread
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from holdfast.client.courier import Courier
from holdfast.client.entry import encode
from holdfast.client.outbox import Outbox
from holdfast.domain.severity import Severity
from holdfast.errors import ConfigurationError

logger = logging.getLogger("holdfast")


class Holdfast:
    """Holdfast as a service sees it. Make one per process and share it between threads and tasks.

    Reports wait in memory and are sent in batches by a daemon thread that starts with the first
    one (so it is also right in a server that forks its workers). While Holdfast is away they stay,
    up to ``capacity``; from then on each new one pushes out the oldest, counted in :attr:`dropped`.

    Args:
        url: Where Holdfast's API answers, as ``http://host:port``.
        key: An API key with the role ``reporter``.
        service: The name under which to report, unless a report says otherwise.
        capacity: The most reports to keep waiting.

    Raises:
        ConfigurationError: The URL or the key can't be one.
    """

    def __init__(
        self, url: str, key: str, *, service: str | None = None, capacity: int = 10_000
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(f"Holdfast's url is {url!r}; expected http(s)://host[:port]")
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigurationError("Holdfast's key is empty or has characters no key has")
        self._service = service
        self._outbox = Outbox(capacity)
        self._courier = Courier(self._outbox, url=url.rstrip("/"), key=key)
        self._thread: Thread | None = None
        self._starting = Lock()

    @property
    def dropped(self) -> int:
        """How many reports were given up unsent: pushed out by newer ones, or left at the close."""
        return self._outbox.dropped

    def report(
        self,
        error: BaseException | str,
        *,
        error_type: str | None = None,
        category: str | None = None,
        severity: Severity | Literal["low", "medium", "high", "critical"] | None = None,
        fingerprint: str | None = None,
        context: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        service: str | None = None,
        user: str | None = None,
        trace_id: str | None = None,
    ) -> None:
        """Tell of one error, now. Returns at once and never raises.

        Args:
            error: The exception, which also gives type, message and stack; or the message alone.
            error_type: What to call the error instead of the exception's dotted class name.
            category: Skips classification, e.g. ``rtmp_connection``.
            severity: Skips classification likewise.
            fingerprint: Errors that share it are one incident; without it, Holdfast derives one.
            context: Anything that helps to understand the error, JSON at most 8 levels deep; other
                values are sent as their ``str``, long ones are cut.
            labels: Short strings to filter and route by.
            service: The service that failed, if it is not this client's own.
            user: The user who met the error.
            trace_id: The trace in which it happened.
        """
        try:
            entry = encode(
                error,
                service=service or self._service,
                error_type=error_type,
                category=category,
                severity=severity,
                fingerprint=fingerprint,
                context=context,
                labels=labels,
                user=user,
                trace_id=trace_id,
            )
            self._outbox.put(entry)
            self._ensure_courier()
        except Exception:  # The caller is handling an error already: ours must not be its second.
            logger.exception("An error could not be reported to Holdfast")

    def flush(self, timeout: timedelta) -> bool:
        """Wait until every report made so far is answered; false when that takes longer."""
        return self._outbox.wait_empty(timeout)

    def close(self, timeout: timedelta = timedelta(seconds=2)) -> None:
        """Give what waits ``timeout`` to be sent, then drop the rest and stop. Harmless twice."""
        if self._outbox.closed:
            return
        atexit.unregister(self.close)
        if not self.flush(timeout):
            logger.warning("%d reports never reached Holdfast", len(self._outbox))
        self._outbox.close()
        if self._thread:
            self._thread.join(timeout.total_seconds())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ensure_courier(self) -> None:
        with self._starting:
            if self._outbox.closed or (self._thread and self._thread.is_alive()):
                return
            if self._thread is None:
                # A script's last report is often the reason for its end: send it before that.
                atexit.register(self.close)
            self._thread = Thread(target=self._courier.run, name="holdfast", daemon=True)
            self._thread.start()

"""The one object that a service holds: reports, guarded calls and feature switches in one place."""

import atexit
import logging
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from threading import RLock
from time import time
from typing import Any, Literal, Self

from holdfast.client.crew import Crew
from holdfast.client.entry import Entry, circumstances_of, claimed, code_of, describe, key_of
from holdfast.client.guard import Exceptions, Guard, Retrying
from holdfast.client.passage import Passage
from holdfast.client.process import call_at_end, call_in_children, reporter_of
from holdfast.client.rescue import NOTHING
from holdfast.client.retry import Retry
from holdfast.client.settings import Settings
from holdfast.client.switchboard import Switchboard
from holdfast.domain.guidance import ServiceGuidance
from holdfast.domain.severity import Severity

logger = logging.getLogger("holdfast")


class Holdfast:
    """Holdfast as a service sees it. Make one per process and share it between threads and tasks.

    Nothing that it is asked to do raises an error of its own into the caller's code or waits for
    the network: calls are decided in process, reports wait in memory and are sent in batches by
    daemon threads that start with the first use (so it is also right in a server that forks its
    workers). While Holdfast is away, reports are kept, first in memory and then in a bounded
    file; what has to be given up is counted in :attr:`dropped`.

    Args:
        url: Where Holdfast's API answers, as ``http://host:port``; else ``HOLDFAST_URL``.
        key: An API key with the role ``reporter``; else ``HOLDFAST_KEY``.
        service: The name under which to report, and whose features ``feature`` means; else
            ``HOLDFAST_SERVICE``.
        capacity: The most different reports to keep waiting in memory.
        spill: The folder for reports that could not be sent, where a later process of the same
            service finds them; else ``HOLDFAST_SPILL``, else one in the system's temporary folder.
            None writes nothing to disk.
        off: Sends nothing, lets every guarded call pass, and leaves features on; else
            ``HOLDFAST_OFF=1``.
        environment: Where the variables are read from.

    Raises:
        ConfigurationError: The URL or the key can't be one, or is missing while it isn't off.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        service: str | None = None,
        capacity: int = 10_000,
        spill: Path | str | None = "",
        off: bool | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        settings = Settings.read(
            url, key, service=service, spill=spill, off=off, environment=environment
        )
        self._settings = settings
        self._capacity = capacity
        self._switchboard = Switchboard(
            reporter=reporter_of(settings.service), service=settings.service, off=settings.off
        )
        self._closed = False
        self._ends_with_process = False
        self._lock = RLock()
        self._hire()
        call_in_children(self, Holdfast._after_fork)

    @property
    def service(self) -> str | None:
        """The name under which it reports, unless a report says otherwise."""
        return self._settings.service

    @property
    def dropped(self) -> int:
        """How many reports were given up unsent: for newer ones, at the close, or lost on disk."""
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

        A repeat of an error that still waits to be sent is added to it: the count stays exact, and
        of the context, the user and the trace the latest are kept. An exception that is raised on
        is not reported again by the integrations.

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
        if self._settings.off:
            return
        try:
            if not isinstance(error, str):
                claimed(error, by="report")
            service = service or self._settings.service
            pairs = tuple(labels.items()) if labels else None
            key = key_of(error, (service, error_type, category, severity, fingerprint, pairs))
            circumstances = None
            if context or user or trace_id:
                circumstances = circumstances_of(context, user=user, trace_id=trace_id)
            try:
                if self._outbox.fold(key, circumstances):
                    if not self._crew.sends_reports:
                        self._begin(self._crew.send_reports)
                    return
            except TypeError:  # Something in the key can't be compared, so it goes alone.
                key = (object(),)
            fields = describe(
                error,
                service=service,
                error_type=error_type,
                category=category,
                severity=severity,
                fingerprint=fingerprint,
                labels=labels,
            )
            pinned = code_of(error)
            entry = Entry(fields, at=time(), circumstances=circumstances, pinned=pinned)
            self._outbox.put(key, entry)
            self._begin(self._crew.send_reports)
        except Exception:  # The caller is handling an error already: ours must not be its second.
            logger.exception("An error could not be reported to Holdfast")

    def guard(
        self,
        name: str,
        *,
        fallback: Any = NOTHING,
        retry: Retry | None = None,
        ignore: Exceptions = (),
        failure: Callable[[Any], bool] | None = None,
    ) -> Guard:
        """A decorator: every call of the function goes through the breaker of what it calls.

        It fits plain functions, coroutine functions and methods, and keeps their types. A call
        that the breaker does not let through raises :class:`holdfast.errors.BreakerOpen`.

        Args:
            name: The service that is called.
            fallback: What to give instead, when a call is rejected or fails in a way that counts:
                a value, or what is called with the call's arguments.
            retry: When a failed call is made again.
            ignore: Exceptions that don't count at all.
            failure: Which results count as failures, though nothing was raised.

        Raises:
            InvalidInput: The name can't be a service's.
        """
        return Guard(
            self._switchboard,
            name,
            fallback=fallback,
            retry=retry,
            ignore=ignore,
            failure=failure,
        )

    def breaker(self, name: str) -> Passage:
        """A passage through a breaker, for one ``with`` or ``async with`` block.

        Args:
            name: The service that the block calls.

        Raises:
            InvalidInput: The name can't be a service's.
        """
        return Passage(self._switchboard.breaker(name))

    def retry(self, retry: Retry | None = None) -> Retrying:
        """A decorator: a failed call is made again, without a breaker of its own.

        Args:
            retry: How often and when; three attempts in all if not given.
        """
        return Retrying(self._switchboard, retry or Retry())

    def feature(self, name: str, *, default: bool = True, service: str | None = None) -> bool:
        """Whether a feature is on, from the snapshot in memory.

        Args:
            name: The feature's.
            default: What holds while nothing was heard of Holdfast yet.
            service: Whose feature; this client's own service if not given.
        """
        return self._switchboard.feature(name, default=default, service=service)

    def subscribe(self, callback: Callable[[ServiceGuidance], None]) -> Callable[[], None]:
        """Have each change of a breaker or of features told, on a thread of Holdfast's.

        Args:
            callback: Called with what holds from now on of the service that changed.

        Returns:
            A function that ends the subscription.
        """
        return self._switchboard.subscribe(callback)

    def wait_for_guidance(self, timeout: timedelta) -> bool:
        """Wait until Holdfast has told how breakers and features stand.

        Nothing needs it: until then calls pass and features have their defaults. It is for a
        process that had rather start a moment later than with a feature that is off.

        Returns:
            False when that takes longer.
        """
        return self._switchboard.wait_told(timeout)

    def flush(self, timeout: timedelta) -> bool:
        """Wait until every report made so far is answered; false when that takes longer."""
        return self._outbox.wait_empty(timeout)

    def close(self, timeout: timedelta = timedelta(seconds=2)) -> None:
        """Give what waits ``timeout`` to be sent, then stop. Harmless twice.

        What could not be sent is left in the spill for a later process of the same service; where
        there is none, it is dropped.
        """
        with self._lock:
            closed, self._closed = self._closed, True
        if closed:
            return
        atexit.unregister(self.close)
        kept, lost = self._crew.close(timeout)
        if kept:
            logger.warning("%d reports wait for a later process: Holdfast is away", kept)
        if lost:
            logger.warning("%d reports never reached Holdfast", lost)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hire(self) -> None:
        self._crew = Crew(self._settings, self._switchboard, capacity=self._capacity)
        self._outbox = self._crew.outbox
        if not self._settings.off:
            self._switchboard.on_first_use = lambda: self._begin(self._crew.follow)
            self._switchboard.on_urgent = self._crew.hurry

    def _begin(self, work: Callable[[], bool]) -> bool:
        """Have the crew work, and see to it that it gets to its end before the process ends.

        Returns:
            False if it is to be asked again.
        """
        with self._lock:
            if self._closed:
                return True
            if not self._ends_with_process:
                self._ends_with_process = True
                # A script's last report is often the reason for its end: send it before that.
                call_at_end(self.close)
        return work()

    def _after_fork(self) -> None:
        """Begin anew in a child: threads, locks, and what waits are the parent's."""
        self._lock = RLock()
        self._crew.abandon()
        self._switchboard.after_fork(reporter_of(self.service))
        self._ends_with_process = False
        self._hire()
        if self._closed:
            self._outbox.close()

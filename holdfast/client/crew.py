"""The crew: the threads of one client in one process, which do all that must not be waited for."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event, RLock, Thread, current_thread
from time import monotonic

from holdfast.client.courier import Courier
from holdfast.client.outbox import Outbox
from holdfast.client.outcome_sender import OutcomeSender
from holdfast.client.settings import Settings
from holdfast.client.spill import Spill
from holdfast.client.stream import Stream
from holdfast.client.switchboard import Switchboard

logger = logging.getLogger("holdfast")

AFTER_A_FAULT = timedelta(seconds=30)


class Crew:
    """Daemon threads that start when they are needed; a forked child needs a crew of its own.

    Args:
        settings: Where Holdfast is, and for whom they work.
        switchboard: Whose outcomes they tell, and whom they tell the news.
        capacity: Of the outbox.

    Attributes:
        outbox: Where reports wait.
        sends_reports: Whether somebody sees to what is in it.
    """

    def __init__(self, settings: Settings, switchboard: Switchboard, *, capacity: int) -> None:
        url, key = settings.url, settings.key
        self.outbox = Outbox(capacity)
        self.sends_reports = False
        self._spill = Spill(settings.spill, url=url, service=settings.service)
        self._courier = Courier(self.outbox, self._spill, url=url, key=key)
        self._outcome_sender = OutcomeSender(switchboard, url=url, key=key)
        self._stream = Stream(switchboard, url=url, key=key)
        self._threads: dict[str, Thread] = {}
        self._ending = Event()
        self._lock = RLock()

    def send_reports(self) -> bool:
        """See to it that what is in the outbox is sent; false if that can't be for now."""
        self.sends_reports = self._ensure("reports", self._courier.run)
        return self.sends_reports

    def follow(self) -> bool:
        """See to it that the switchboard hears of the fleet, and the fleet of its outcomes."""
        started = [
            self._ensure("outcomes", self._outcome_sender.run),
            self._ensure("events", self._stream.run),
            # Only to look for what a former process left behind.
            self.send_reports(),
        ]
        return all(started)

    def hurry(self) -> None:
        """Have urgent outcomes and leases sent at once."""
        self._outcome_sender.hurry()

    def close(self, timeout: timedelta) -> tuple[int, int]:
        """Give what waits that long to be sent, and stop.

        Returns:
            How many reports wait on disk for a later process, and how many are given up.
        """
        deadline = monotonic() + timeout.total_seconds()
        with self._lock:
            self._ending.set()
        self._stream.close()
        self._outcome_sender.close()
        self.outbox.wait_empty(timeout)
        unanswered = len(self.outbox)
        lost = self._courier.keep()
        for thread in self._threads.values():
            # A subscriber may close it too, on one of these threads.
            if thread is not current_thread():
                thread.join(max(0.1, deadline - monotonic()))
        self._spill.close()
        return max(0, unanswered - lost), lost

    def abandon(self) -> None:
        """Leave all to the process from which this one was forked."""
        self._spill.abandon()

    def _ensure(self, name: str, run: Callable[[], None]) -> bool:
        with self._lock:
            known = self._threads.get(name)
            if self._ending.is_set() or (known and known.is_alive()):
                return True
            target = partial(self._keep_at, run)
            thread = Thread(target=target, name=f"holdfast {name}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The process has as many as it may have, or is ending: what can't be sent is
                # written down at the close.
                return False
            self._threads[name] = thread
            return True

    def _keep_at(self, run: Callable[[], None]) -> None:
        while not self._ending.is_set():
            try:
                run()
            except Exception:  # The thread's edge: say, a broken certificate store.
                logger.exception("Holdfast can't be reached; trying again")
                self._ending.wait(AFTER_A_FAULT.total_seconds())

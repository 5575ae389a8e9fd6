"""What waits to be sent: the bounded queue between the caller's threads and the courier's."""

from collections import deque
from datetime import timedelta
from threading import Condition


class Outbox:
    """Entries in memory, oldest first; when full, a new entry pushes out the oldest.

    Safe to use from any number of threads, and from a signal handler: the lock is re-entrant and
    is never held while anything is sent.
    """

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self.closed = False
        self._capacity = capacity
        self._waiting: deque[bytes] = deque()
        self._sending: list[bytes] = []
        self._changed = Condition()

    def put(self, entry: bytes) -> None:
        """Take an entry, or count it as dropped once the outbox is closed."""
        with self._changed:
            self._waiting.append(entry)
            while self._waiting and (self.closed or len(self._waiting) > self._capacity):
                self._waiting.popleft()
                self.dropped += 1
            self._changed.notify_all()

    def take(self, limit: int) -> list[bytes]:
        """Wait for entries and hand out the oldest ones; none means that the outbox is closed.

        They stay on the outbox's account until :meth:`settle` says what became of them.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.closed)
            self._sending = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            return list(self._sending)

    def settle(self, count: int, *, dropped: bool = False) -> None:
        """Strike the oldest ``count`` of the entries last taken: they were answered, or dropped."""
        with self._changed:
            struck, self._sending = self._sending[:count], self._sending[count:]
            self.dropped += len(struck) if dropped else 0
            self._changed.notify_all()

    def pause(self, duration: timedelta) -> bool:
        """Wait that long; false at once when the outbox closes."""
        with self._changed:
            return not self._changed.wait_for(lambda: self.closed, duration.total_seconds())

    def wait_empty(self, timeout: timedelta) -> bool:
        """Wait until nothing is waiting or being sent; false when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not len(self), timeout.total_seconds())

    def close(self) -> None:
        """Drop what still waits, and let the courier go home."""
        with self._changed:
            self.closed = True
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sending)

"""What waits to be sent: the bounded queue between the caller's threads and the courier's."""

from datetime import timedelta
from itertools import islice
from threading import Condition, RLock
from time import monotonic, time

from holdfast.client.entry import Circumstances, Entry

# So many different ones at once are likely one error whose message varies.
CROWD = 100


class Outbox:
    """Entries in memory, oldest first; when full, a new entry pushes out the oldest.

    Safe to use from any number of threads, and from a signal handler: the lock is re-entrant and
    is never held while anything is sent.

    Attributes:
        dropped: How many reports were given up unsent.
        closed: Whether it takes no more.
    """

    def __init__(self, capacity: int) -> None:
        self.dropped = 0
        self.closed = False
        self._capacity = capacity
        self._waiting: dict[object, Entry] = {}
        self._taken = 0
        self._hurrying = 0
        self._lock = RLock()
        self._changed = Condition(self._lock)

    def fold(self, key: object, circumstances: Circumstances | None) -> bool:
        """Count a report with the entry of that key; false if none is waiting."""
        with self._lock:
            entry = self._waiting.get(key)
            if entry is None:
                return False
            entry.count += 1
            entry.last_at = time()
            if circumstances is not None:
                entry.circumstances = circumstances
            return True

    def put(self, key: object, entry: Entry) -> None:
        """Take an entry, or count it as dropped once the outbox is closed."""
        with self._changed:
            if self.closed:
                self.dropped += entry.count
            elif known := self._waiting.get(key):
                known.absorb(entry)
            else:
                self._waiting[key] = entry
                while len(self._waiting) > self._capacity:
                    oldest = next(iter(self._waiting))
                    self.dropped += self._waiting.pop(oldest).count
                self._changed.notify_all()

    def wait(self, *, until: float, patiently: bool, at_work: bool, longest: float) -> bool:
        """Wait for entries and for a time; false once it is closed.

        Args:
            until: Not before that time of :func:`time.monotonic`.
            patiently: Whether somebody's hurry does not shorten that.
            at_work: Whether there is something to do without entries too.
            longest: Without anything to do, at most for so many seconds.
        """
        give_up_at = monotonic() + longest
        with self._changed:
            while not self.closed:
                is_hurried = self._hurrying and not patiently
                pause = 0.0 if is_hurried else until - monotonic()
                if pause <= 0:
                    pause = 0.0 if self._waiting or at_work else give_up_at - monotonic()
                if pause <= 0:
                    return True
                self._changed.wait(pause)
        return False

    def take(self, limit: int) -> list[Entry]:
        """Hand out the oldest entries.

        They stay on the outbox's account until :meth:`settle` says what became of them.
        """
        self._merge_crowd()
        return self._pop(limit)

    def settle(self, reports: int, *, dropped: bool = False) -> None:
        """Strike so many of the reports that were taken: they were answered, or dropped."""
        with self._changed:
            self._taken -= reports
            self.dropped += reports if dropped else 0
            self._changed.notify_all()

    def wait_empty(self, timeout: timedelta) -> bool:
        """Hurry until nothing is waiting or being sent; false when that takes longer."""
        with self._changed:
            self._hurrying += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(
                    lambda: not self._waiting and not self._taken, timeout.total_seconds()
                )
            finally:
                self._hurrying -= 1

    def close(self) -> list[Entry]:
        """Let the courier go home, and hand out what still waits, as :meth:`take` does."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
        return self._pop(self._capacity)

    def __len__(self) -> int:
        """How many reports it has not seen answered."""
        with self._changed:
            return self._taken + sum(entry.count for entry in self._waiting.values())

    def _pop(self, limit: int) -> list[Entry]:
        with self._changed:
            keys = list(islice(self._waiting, limit))
            taken = [self._waiting.pop(key) for key in keys]
            self._taken += sum(entry.count for entry in taken)
            return taken

    def _merge_crowd(self) -> None:
        """Make one of entries whose messages differ in what a fingerprint does not look at.

        Only of many: it costs more than sending a few.
        """
        with self._lock:
            crowd = list(self._waiting.items()) if len(self._waiting) > CROWD else []
        firsts: dict[object, tuple[object, Entry]] = {}
        # Under the lock in portions, because callers wait for it.
        for begin in range(0, len(crowd), CROWD):
            portion = crowd[begin : begin + CROWD]
            identities = [entry.identity for _, entry in portion]
            with self._changed:
                for (key, entry), identity in zip(portion, identities, strict=True):
                    first_key, first = firsts.setdefault(identity, (key, entry))
                    if self._waiting.get(first_key) is not first:
                        firsts[identity] = key, entry  # It was pushed out meanwhile.
                    elif first is not entry and self._waiting.get(key) is entry:
                        first.absorb(self._waiting.pop(key))

"""A batch: entries that travel together under one key, so that a repeat of them counts once."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self
from uuid import uuid4

from holdfast.client.entry import Entry, encode

MOST_ENTRIES = 100
# The API takes a mebibyte; a proxy before it may take no more either.
MOST_BYTES = 512 * 1024


@dataclass(frozen=True)
class Batch:
    """What one request tells; it may be sent again and again under its key.

    Attributes:
        key: The request's Idempotency-Key.
        entries: Each as JSON.
        counts: How many reports each of them stands for.
    """

    key: str
    entries: tuple[bytes, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, parts: Iterable[tuple[bytes, int]]) -> Self:
        """Make a batch of entries and their counts."""
        entries, counts = zip(*parts, strict=True)
        return cls(key=uuid4().hex, entries=entries, counts=counts)

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Read what :attr:`line` wrote.

        Raises:
            ValueError: If it is something else.
        """
        try:
            written = json.loads(line)
            entries = tuple(
                json.dumps(entry, ensure_ascii=False).encode() for entry in written["entries"]
            )
            counts = tuple(int(count) for count in written["counts"])
            key = str(written["key"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no batch: {error}") from error
        if not key or len(entries) != len(counts):
            raise ValueError("this is no batch")
        return cls(key=key, entries=entries, counts=counts)

    @property
    def line(self) -> bytes:
        """The batch as a line of a file."""
        head = json.dumps({"key": self.key, "counts": self.counts})
        return head[:-1].encode() + b', "entries": ' + self.body + b"}\n"

    @property
    def body(self) -> bytes:
        """The request's body."""
        return b"[" + b",".join(self.entries) + b"]"

    @property
    def reports(self) -> int:
        """How many reports it stands for."""
        return sum(self.counts)

    def only(self, places: Iterable[int]) -> Self:
        """Some of its entries, under its key: the others must not be sent again, these must."""
        chosen = list(places)
        return replace(
            self,
            entries=tuple(self.entries[place] for place in chosen),
            counts=tuple(self.counts[place] for place in chosen),
        )

    def halves(self) -> list[Self]:
        """Two smaller ones with keys of their own, for one of which nothing was taken."""
        parts = list(zip(self.entries, self.counts, strict=True))
        middle = len(parts) // 2
        return [self.of(parts[:middle]), self.of(parts[middle:])]


def batches(entries: Iterable[Entry]) -> Iterator[Batch]:
    """Put entries into as few batches as may be."""
    parts: list[tuple[bytes, int]] = []
    size = 0
    for part in (part for entry in entries for part in encode(entry)):
        if parts and (len(parts) == MOST_ENTRIES or size + len(part[0]) > MOST_BYTES):
            yield Batch.of(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part[0]) + 1
    if parts:
        yield Batch.of(parts)

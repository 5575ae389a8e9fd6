"""Owns excerpts: bounded, legible pieces of what services and programs say."""

import re

# What PostgreSQL refuses (NUL) and what would garble a terminal or a page.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SENTENCE = 200


class Head:
    """Keeps the first bytes of a stream and forgets the rest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take the next piece of the stream."""
        self._kept += chunk[: self._limit - len(self._kept)]

    def __str__(self) -> str:
        return legible(bytes(self._kept))


class Tail:
    """Keeps the last bytes of a stream: where programs say why they failed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take the next piece of the stream."""
        self._kept += chunk[-self._limit :]
        del self._kept[: -self._limit]

    def __str__(self) -> str:
        return legible(bytes(self._kept))


def legible(text: bytes | str) -> str:
    """The text without what stores and terminals choke on; bytes are read as UTF-8."""
    read = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", read)


def in_a_sentence(text: str) -> str:
    """The beginning of a text on one line, for a sentence to end with."""
    line = " ".join(legible(text).split())
    return line if len(line) <= _SENTENCE else f"{line[: _SENTENCE - 1]}…"

"""Events: server-sent events, read from the bytes of a response as they come.

As in the HTML standard, 9.2.6, but for what Holdfast never sends: a byte-order mark, and lines
that end with a carriage return alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

# Far more than a snapshot of a thousand services; whoever sends more is not Holdfast.
LONGEST_BACKLOG = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        kind: ``message`` if nothing else was said.
        text: All its lines of data.
    """

    kind: str
    text: str


@dataclass(slots=True)
class EventReader:
    """Takes bytes and gives events.

    Attributes:
        last_id: That of the latest event; to be sent with the next connection.
        retry: After so many milliseconds the server wants to be asked again; None if it never said.
        events: How many there were so far.
    """

    last_id: str = ""
    retry: int | None = None
    events: int = 0
    _rest: bytes = b""
    _kind: str = ""
    _text: list[str] = field(default_factory=list)
    _id: str | None = None

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that are complete with this chunk.

        Raises:
            ValueError: The bytes are no text, or have no end.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) + sum(map(len, self._text)) > LONGEST_BACKLOG:
            raise ValueError("an event has no end")
        for line in lines:
            event = self._take(line.removesuffix(b"\r").decode())
            if event:
                yield event

    def begin(self) -> None:
        """Forget the half of an event with which the last connection broke off."""
        self._rest = b""
        self._clear()

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._kind = value
            case "data":
                self._text.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdecimal():
                self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        kind, text = self._kind or "message", "\n".join(self._text)
        if self._id is not None:
            self.last_id = self._id
        self._clear()
        if not text:
            return None
        self.events += 1
        return Event(kind, text)

    def _clear(self) -> None:
        self._kind, self._text, self._id = "", [], None

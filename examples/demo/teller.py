"""Owns the telling: what the person at the terminal reads while it happens, and at the end."""

import io
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from examples.demo import timeline
from examples.demo.timeline import Mark
from examples.stand_ins.slack import Message, Whisper
from holdfast.domain.audit import AuditEntry

WIDEST = 116
UNKNOWN_WIDTH = 100
OVERHEARD = 10


class Ending(NamedTuple):
    """A story in a line of the summary."""

    broke: str
    did: str
    took: str


class Teller:
    """Tells a story after the other; a story's clock starts with the first thing that is done.

    Attributes:
        marks: What the demo did in the present story.
        overheard: What processes said of crashes and troubles, which many a story is about.
    """

    def __init__(self, console: Console) -> None:
        self.marks: list[Mark] = []
        self.overheard: deque[str] = deque(maxlen=OVERHEARD)
        self._console = console
        utf8 = console.encoding.lower().startswith("utf")
        self._is_live = console.is_terminal and utf8
        self._ticked, self._crossed = ("✓", "✗") if utf8 else ("ok", "FAILED")

    @classmethod
    def at_terminal(cls) -> "Teller":
        """For standard output, also when it is a pipe or a file, in whatever encoding."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What the system tells may hold more than the encoding does.
            sys.stdout.reconfigure(errors="replace")
        console = Console(highlight=False)
        console.width = min(console.width, WIDEST) if console.is_terminal else UNKNOWN_WIDTH
        return cls(console)

    def opening(self) -> None:
        """Say what is about to start."""
        self._console.print(Text("Holdfast in five outages", style="bold"))
        self.tell(
            "Starting PostgreSQL, Temporal and Holdfast, and what they look after: a service with "
            "three live channels, news, sports and films, that ffmpeg publishes over RTMP, each to "
            "a primary ingest with a standby beside it. Slack is a stand-in on this machine; all "
            "else is the real thing."
        )

    def ready(self, api_url: str, temporal_ui_url: str, *, took: timedelta) -> None:
        """Say that everything runs, and where to watch it meanwhile."""
        self.tell(f"All channels are on the air after {took.total_seconds():.1f} s.")
        self.aside(f"API reference {api_url}/docs   Temporal UI {temporal_ui_url}")

    def chapter(self, title: str) -> None:
        """Begin a story."""
        self.marks = []
        self._console.print()
        self._console.print(Rule(Text(title, style="bold"), align="left", style="dim"))

    def tell(self, text: str) -> None:
        """Say what is the case, or is about to be."""
        self._indented(Text(text))

    def act(self, what: str) -> datetime:
        """Say what is done now; it becomes part of the timeline, at the time that this gives."""
        now = datetime.now(UTC)
        self.marks.append(Mark(now, what))
        self._line(">", Text(what, style="yellow"))
        return now

    def checked(self, claim: str) -> None:
        """Say what was seen to be so."""
        self._line(self._ticked, Text(claim), style="green")

    def slack(self, message: Message) -> None:
        """Show a message that Slack's stand-in received, or that was changed."""
        where = "in the thread" if message.thread_ts else message.sent_to
        self._in_slack(f"{where}, edited" if message.edited else where, message.text)

    def whisper(self, whisper: Whisper) -> None:
        """Show what Slack's stand-in shows to one member alone."""
        self._in_slack(f"to {whisper.user} alone", whisper.text)

    def _in_slack(self, where: str, words: str) -> None:
        text = Text(f"Slack, {where}: {' '.join(words.split())}", style="cyan")
        text.no_wrap, text.overflow = True, "ellipsis"
        self._line("#", text)

    def aside(self, text: str) -> None:
        """Say what is worth knowing but no part of the story."""
        self._indented(Text(text, style="dim"))

    def failed(self, why: str) -> None:
        """Say what ended the demo early, and what was overheard before."""
        self._console.print()
        self._line(self._crossed, Text(why, style="bold"), style="red")
        for line in self.overheard:
            self.aside(line)

    @contextmanager
    def waiting(self, for_what: str) -> Iterator[None]:
        """Show at a terminal what is being waited for."""
        if not self._is_live:
            yield
            return
        with self._console.status(Text(for_what, style="dim")):
            yield

    def timeline(
        self, entries: Sequence[AuditEntry], *, breaker: Sequence[AuditEntry] = ()
    ) -> None:
        """Show the present story as the audit log has it: of an incident, and maybe a breaker."""
        shown = timeline.table(timeline.rows([*entries, *breaker], self.marks))
        self._console.print()
        queries = [f"incident_id={entries[0].incident_id}"]
        queries += [f"service={breaker[0].service}"] if breaker else []
        for query in queries:
            self.aside(f"GET /api/system/audit?{query}&order=oldest")
        self._indented(shown)

    def summary(self, endings: Sequence[Ending]) -> None:
        """Show all stories in a table."""
        shown = Table(box=None, padding=(0, 3, 0, 0), header_style="bold", pad_edge=False)
        for heading in ("what broke", "what Holdfast did", "how long it took"):
            shown.add_column(heading)
        for ending in endings:
            shown.add_row(*(Text(cell) for cell in ending))
        self._indented(shown)
        self._console.print()
        self.aside(
            "Next: `make up` runs Holdfast to try it by hand; examples/demo/demo.yaml is the "
            "policy that it followed here, docs/configuration.md explains its every key; "
            "`python -m examples.demo --stay` keeps all this running at the end."
        )

    def _indented(self, shown: RenderableType) -> None:
        self._console.print(Padding(shown, (0, 0, 0, 2), expand=False))

    def _line(self, sign: str, text: Text, *, style: str = "") -> None:
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_column(justify="right", width=8, style="dim", no_wrap=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_row(self._clock(), Text(sign, style=style), text)
        self._console.print(line)

    def _clock(self) -> str:
        if not self.marks:
            return ""
        return f"{(datetime.now(UTC) - self.marks[0].at).total_seconds():.1f} s"

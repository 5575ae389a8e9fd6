"""Owns one supervised child process: started, watched, started again after a crash, stopped."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from holdfast.errors import Unavailable
from standalone.logs import ChildLog

TETHER = Path(__file__).with_name("tether.py")
FIRST_PAUSE = timedelta(milliseconds=500)
LONGEST_PAUSE = timedelta(seconds=30)
STEADY_AFTER = timedelta(seconds=30)
READY_WITHIN = timedelta(seconds=60)
POLL = 0.05


async def ready_at_once() -> bool:
    """For a process that needs no waiting for."""
    return True


@dataclass(frozen=True)
class Program:
    """What a child runs, and how it wants to be treated.

    Args:
        name: The part's name, in messages and as its log's name.
        command: An absolute path and its arguments.
        environment: The whole environment; nothing is inherited.
        ready: Answers whether the running process can be used.
        stop_signal: What asks it to stop cleanly.
        orphan_signal: What the kernel sends it when the supervisor is killed.
        grace: How long it may take to stop before it is killed.
        user: Whom root runs it as; empty for the supervisor's own user.
        umask: What others may not do with the files it makes; -1 is as the supervisor's.
        shows_alarms: Whether its warnings and errors also go to the terminal.
        directory: Where it runs.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]] = ready_at_once
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    grace: timedelta = timedelta(seconds=2)
    user: str = ""
    umask: int = -1
    shows_alarms: bool = False
    directory: Path = field(default_factory=Path.cwd)

    async def spawn(self, log: ChildLog) -> asyncio.subprocess.Process:
        """Start the process, tied to this one, printing into its log.

        It leads a session of its own: a Ctrl-C in the terminal reaches the supervisor alone,
        which then stops its children in their order.
        """
        tether = (sys.executable, "-I", "-S", str(TETHER))
        terms = (str(self.orphan_signal.value), str(os.getpid()), self.user)
        with log.path.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *tether,
                *terms,
                *self.command,
                cwd=self.directory,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=self.umask,
            )


def pauses() -> Iterator[timedelta]:
    """How long to wait before each next start of a process that keeps crashing."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, LONGEST_PAUSE)


class Child:
    """One process that is kept running until it is told to stop.

    The kernel ties a child to the *thread* that started it, so a child is started from a thread
    that lasts: in practice the main thread's event loop.

    Args:
        program: What to run.
        log: Where it prints.
        say: Tells the person at the terminal.
    """

    def __init__(self, program: Program, *, log: ChildLog, say: Callable[[str], None]) -> None:
        self.program = program
        self.log = log
        self.crashes = 0
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it and wait until it is ready; harmless when it is kept running already.

        Raises:
            Unavailable: It was not ready in time; the message ends with what it printed last.
        """
        if self._keeper is None:
            self.crashes = 0
            self._process = await self.program.spawn(self.log)
            self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.program.name}")
        try:
            async with asyncio.timeout(READY_WITHIN.total_seconds()):
                while not await self._is_ready():  # noqa: ASYNC110  # no event tells
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise Unavailable(self.describe("did not get ready")) from None

    async def stop(self) -> None:
        """Ask it to stop, and kill it when it takes longer than its grace."""
        await self._end(self.program.stop_signal)

    async def kill(self) -> None:
        """Kill it without warning and leave it dead until the next ``start``."""
        await self._end(signal.SIGKILL)

    async def crash(self) -> None:
        """Kill it without warning; as after any crash, it is started again."""
        if self._process is not None:
            self.send(signal.SIGKILL)
            await self._process.wait()

    def hurry(self) -> None:
        """Make a ``stop`` that is under way, or comes next, end at once."""
        if self._keeper is not None:
            self._keeper.cancel()
        self.send(signal.SIGKILL)

    def send(self, what: signal.Signals) -> None:
        """Send a signal if it runs; SIGKILL also goes to whatever it started."""
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if what is signal.SIGKILL:
                os.killpg(pid, what)
            else:
                os.kill(pid, what)

    def describe(self, trouble: str) -> str:
        """A message about trouble with it, with the end of its log."""
        return f"the {self.program.name} {trouble}; the end of {self.log.path}:\n{self.log.tail()}"

    async def _is_ready(self) -> bool:
        return self.pid is not None and await self.program.ready()

    async def _end(self, how: signal.Signals) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self._process is None:
            return
        self.send(how)
        try:
            async with asyncio.timeout(self.program.grace.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            self._say(f"{self.program.name} did not stop in time; killing it")
            self.send(signal.SIGKILL)
            await self._process.wait()

    async def _keep(self) -> None:
        clock = asyncio.get_running_loop().time
        schedule = pauses()
        while self._process is not None:
            started = clock()
            code = await self._process.wait()
            if clock() - started >= STEADY_AFTER.total_seconds():
                schedule = pauses()
            self.crashes += 1
            pause = next(schedule).total_seconds()
            self._say(f"{self.program.name} {_ending(code)}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            self._process = await self.program.spawn(self.log)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"

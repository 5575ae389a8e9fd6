"""Owns the carrying out of commands on the worker's machine.

Only what the policy file lists can be run, by its argument list and without a shell. A command
leads a process group of its own, which is killed when its time is over or nobody wants it any
more. A command that leaves a daemon behind on purpose redirects the daemon's output, as with ssh:
what it prints is read only until the command itself has ended.
"""

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from activities.actions.outcome import Detail, Done, NotDone
from activities.excerpt import Tail, in_a_sentence
from activities.outbound import seconds
from config.secrets import Secrets
from holdfast.domain.action import Command, CommandAction
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError

IDEMPOTENCY_KEY = "HOLDFAST_IDEMPOTENCY_KEY"
_KEPT = 4096
_STDOUT, _STDERR = 1, 2
# How long the rest of the output may take after the end, and a killed process to be reaped.
_DRAIN = 1.0
_REAP = 5.0
# What is the command's own fault; running out of processes or memory is the worker's.
_UNSTARTABLE = {errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC, errno.E2BIG, errno.EPERM}


@dataclass(frozen=True)
class CommandActions:
    """Runs the policy file's commands."""

    policy: Callable[[], Policy]
    secrets: Secrets

    async def perform(self, action: CommandAction, *, key: str, within: timedelta) -> Done:
        """Run an action's command until it ends, with the key in its environment.

        Raises:
            NotDone: If it could not be started, took too long or ended with a code other than 0.
            ConfigurationError: If the policy file has no such command now, or a secret is missing.
        """
        command = self.policy().commands.get(action.command)
        if command is None:
            raise ConfigurationError(
                f"the policy file allows no command '{action.command}'; add it to commands"
            )
        within = min(command.timeout, within)
        started = monotonic()
        running = await self._start(command, action, key)
        code = await running.end(within)
        took = timedelta(seconds=monotonic() - started)
        detail = running.printed | {
            "kind": "command",
            "command": action.command,
            "arguments": list(action.arguments),
            "exit_code": code,
            "milliseconds": round(took.total_seconds() * 1000),
        }
        what = f"command '{action.command}'"
        if code is None:
            raise NotDone(f"{what} was killed after {seconds(within)}", detail=detail)
        if code:
            raise NotDone(f"{what} {_ending(code)}{running.last_words}", detail=detail)
        return Done(f"{what} ended well after {seconds(took)}", detail)

    async def _start(self, command: Command, action: CommandAction, key: str) -> "_Running":
        environment = {"PATH": self.secrets.environment.get("PATH", os.defpath)}
        for name, value in command.environment.items():
            environment[name] = self.secrets.fill(value)
        environment[IDEMPOTENCY_KEY] = key
        try:
            return await _started(
                *command.argv, *action.arguments, directory=command.directory, env=environment
            )
        except OSError as error:
            if error.errno in _UNSTARTABLE:
                reason = f"command '{action.command}' cannot be started: {error}"
                raise NotDone(reason, detail={"kind": "command", "command": action.command}) from (
                    error
                )
            raise


class _Output(asyncio.SubprocessProtocol):
    """Keeps the end of what a process prints, and knows when it ended.

    A protocol and not a pair of streams, because asyncio's own ``wait`` would not return while a
    daemon that the process left behind holds its pipes.
    """

    def __init__(self) -> None:
        self.tails = {_STDOUT: Tail(_KEPT), _STDERR: Tail(_KEPT)}
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep the last of it."""
        self.tails[fd].add(data)

    def process_exited(self) -> None:
        """The process itself is gone; its children may not be."""
        self.exited.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The process is gone and nobody holds its pipes."""
        self.drained.set()


@dataclass(frozen=True)
class _Running:
    transport: asyncio.SubprocessTransport
    output: _Output

    async def end(self, within: timedelta) -> int | None:
        """Wait for the end; the exit code, or None when it was killed for taking too long."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self.output.exited.wait()
            await _at_most(_DRAIN, self.output.drained)
            return self.transport.get_returncode()
        except TimeoutError:
            return None
        finally:
            if not self.output.exited.is_set():
                self._kill_group()
                await _at_most(_REAP, self.output.exited)
            self.transport.close()

    def _kill_group(self) -> None:
        # It led a session of its own, so that the group has its number and nobody else in it.
        with suppress(ProcessLookupError):
            os.killpg(self.transport.get_pid(), signal.SIGKILL)

    @property
    def printed(self) -> Detail:
        """The end of what it printed."""
        tails = self.output.tails
        return {"stdout": str(tails[_STDOUT]), "stderr": str(tails[_STDERR])}

    @property
    def last_words(self) -> str:
        """The last line that it printed, errors first, as the end of a sentence."""
        texts = [str(self.output.tails[fd]).strip() for fd in (_STDERR, _STDOUT)]
        said = next((text for text in texts if text), None)
        return f": {in_a_sentence(said.splitlines()[-1])}" if said else ""


async def _started(*command: str, directory: str | None, env: Mapping[str, str]) -> _Running:
    """Start a command in a group of its own; cancelled meanwhile, the whole group ends.

    Raises:
        OSError: If it could not be started.
    """
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            _Output,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            cwd=directory,
            env=env,
            start_new_session=True,
        )
    )
    try:
        return _Running(*await asyncio.shield(starting))
    except asyncio.CancelledError:
        # Left to asyncio, the command alone would be killed, and its children would live on.
        with suppress(OSError):
            await _Running(*await starting).end(timedelta(0))
        raise


async def _at_most(limit: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await event.wait()


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"

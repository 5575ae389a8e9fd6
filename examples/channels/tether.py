"""Ties a process's life to its parent's: the kernel kills it when the parent dies, however it dies.

Run as a program it becomes the command that it is given: ``python tether.py PARENT COMMAND...``.
A program rather than a ``preexec_fn``, which Python documents as unsafe beside other threads, and
the client that reports to Holdfast has one. The process id stays the same through the exec.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
SIGKILL = 9


def tethered(command: Sequence[str]) -> list[str]:
    """The command line under which ``command`` dies with the process that starts it.

    Start it from the main thread: what the kernel waits for is the death of the parent's *thread*.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    """Ask the kernel for the signal, then become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        # Without it, an ffmpeg whose supervisor was killed with SIGKILL goes on publishing, or
        # listening on the port, with nobody left who knows of it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != int(parent):
            sys.exit("the parent died before the kernel was asked to watch it")
    os.execvp(command[0], command)  # noqa: S606 - a list of arguments, no shell


if __name__ == "__main__":
    main()

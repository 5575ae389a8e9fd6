"""Run as a script: becomes the given command, tied to the life of the process that started it.

``python -I -S tether.py SIGNAL PARENT USER COMMAND...``: the kernel sends SIGNAL to the command
when PARENT dies in any way, even by SIGKILL. A script of its own, and not a ``preexec_fn``,
because forking Python code out of a process that has threads can deadlock. USER (may be empty) is
whom root hands the command to; that has to happen here, as changing the user clears the tie.
The tie is Linux's; elsewhere the command runs without it.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Drop root for good."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def tie(signal: int, parent: int) -> None:
    """Ask the kernel for the signal; leave at once if the parent died before it was asked."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def main(signal: str, parent: str, user: str, *command: str) -> None:
    """Tie, then turn into the command."""
    if user:
        become(user)
    tie(int(signal), int(parent))
    os.execv(command[0], command)  # noqa: S606  # no shell is the point


if __name__ == "__main__":
    main(*sys.argv[1:])

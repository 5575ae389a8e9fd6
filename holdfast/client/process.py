"""The process that a client lives in: its name, what happens when it is forked, how it ends."""

import atexit
import os
import re
import socket
import sys
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakKeyDictionary

_NOT_IN_REPORTERS = re.compile(r"[^!-~]")

T = TypeVar("T")

_in_children: WeakKeyDictionary[object, Callable[[Any], None]] = WeakKeyDictionary()


def reporter_of(service: str | None) -> str:
    """A name for this process that no other has."""
    told = f"{service or 'client'}@{socket.gethostname()}/{os.getpid()}"
    return f"{_NOT_IN_REPORTERS.sub('_', told)[:180]}/{uuid4().hex[:8]}"


def call_in_children(subject: T, method: Callable[[T], None]) -> None:
    """Have a method called in each process that is forked from this one, while its object lives."""
    _in_children[subject] = method


def call_at_end(method: Callable[[], None]) -> None:
    """Have a method called before the process ends by itself, also one of multiprocessing's.

    Those that it forks end without ``atexit``, by finalizers of their own.
    """
    atexit.register(method)
    util = sys.modules.get("multiprocessing.util")
    if util and sys.modules["multiprocessing"].parent_process():
        util.Finalize(None, method, exitpriority=100)


def _begin_anew() -> None:
    for subject, method in list(_in_children.items()):
        method(subject)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

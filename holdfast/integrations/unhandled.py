"""Owns the hooks for what nobody caught: in the main thread, in others, in an event loop."""

import asyncio
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from holdfast.client import Holdfast
from holdfast.client.entry import claimed
from holdfast.errors import BreakerOpen
from holdfast.integrations.reporting import harmless


def report_unhandled(
    holdfast: Holdfast, *, loop: asyncio.AbstractEventLoop | None = None
) -> Callable[[], None]:
    """Report what ends the program or a thread unhandled, and what an event loop is left with.

    Whatever hooks were there are asked afterwards, so the traceback is printed as before. What a
    person or a signal ends (``KeyboardInterrupt``, ``SystemExit``) is no error.

    Args:
        holdfast: Where to report.
        loop: An event loop, to report what its tasks and callbacks raised that nobody awaited.

    Returns:
        What takes the hooks away again.
    """
    undo = [_hook_program(holdfast), _hook_threads(holdfast)]
    if loop:
        undo.append(_hook_loop(holdfast, loop))

    def undo_all() -> None:
        for each in undo:
            each()

    return undo_all


def _hook_program(holdfast: Holdfast) -> Callable[[], None]:
    former = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _report(holdfast, error, {"unhandled_in": "the main thread"})
        former(kind, error, trace)

    def undo() -> None:
        if sys.excepthook is hook:
            sys.excepthook = former

    sys.excepthook = hook
    return undo


def _hook_threads(holdfast: Holdfast) -> Callable[[], None]:
    former = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        name = ended.thread.name if ended.thread else "unknown"
        _report(holdfast, ended.exc_value, {"unhandled_in": f"thread {name}"})
        former(ended)

    def undo() -> None:
        if threading.excepthook is hook:
            threading.excepthook = former

    threading.excepthook = hook
    return undo


def _hook_loop(holdfast: Holdfast, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    former = loop.get_exception_handler()

    def handler(loop: asyncio.AbstractEventLoop, met: dict[str, Any]) -> None:
        task = met.get("task") or met.get("future")
        name = task.get_name() if isinstance(task, asyncio.Task) else None
        # Whoever calls the handler by hand may leave it out.
        message = met.get("message") or "Unhandled exception in event loop"
        context = {"unhandled_in": "the event loop", "message": message, "task": name}
        _report(holdfast, met.get("exception") or message, context)
        if former:
            former(loop, met)
        else:
            loop.default_exception_handler(met)

    def undo() -> None:
        if loop.get_exception_handler() is handler:
            loop.set_exception_handler(former)

    loop.set_exception_handler(handler)
    return undo


def _report(
    holdfast: Holdfast, error: BaseException | str | None, context: dict[str, str | None]
) -> None:
    with harmless():
        match error:
            case BreakerOpen():
                return  # What it spares is known already.
            case Exception() if claimed(error, by="unhandled"):
                holdfast.report(error, context=context)
            case str():
                holdfast.report(error, error_type="EventLoopError", context=context)

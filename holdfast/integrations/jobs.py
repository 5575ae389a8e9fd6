"""Owns the decorator of background jobs: one that fails is reported with what it was to do."""

import inspect
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from holdfast.client import Holdfast
from holdfast.client.entry import claimed
from holdfast.errors import BreakerOpen
from holdfast.integrations.masking import REMOVED, is_secret, without_secrets
from holdfast.integrations.reporting import harmless

P = ParamSpec("P")
R = TypeVar("R")

# What is looked through for secrets, and what is told of it: cut first, a secret could lose the
# name by which it is one.
_LONGEST_REPR = 10_000
_LONGEST_ARGUMENT = 200


def job(
    holdfast: Holdfast, *, name: str | None = None, arguments: bool = True
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Report what a function of a job queue, a scheduler or a thread pool raises, and raise it on.

    It goes next to the function, below the queue's own decorator. A cancelled job and one whose
    call a breaker rejected are not reported.

    Args:
        holdfast: Where to report.
        name: The job's name; the function's dotted one otherwise.
        arguments: Whether the arguments come along, each as a short ``repr``, secrets by name
            removed.

    Raises:
        TypeError: The function is a generator, whose errors come when nobody watches it.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator; a job has to be a function")
        known_as = name or f"{function.__module__}.{function.__qualname__}"
        signature = inspect.signature(function) if arguments else None

        def watch(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Watch:
            return _Watch(holdfast, known_as, signature, args, kwargs)

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with watch(args, kwargs):
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", run_async)

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with watch(args, kwargs):
                return function(*args, **kwargs)

        return run

    return decorate


@dataclass(frozen=True)
class _Watch:
    """One run of a job, from its start to its end."""

    holdfast: Holdfast
    name: str
    signature: inspect.Signature | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, BreakerOpen):
            return
        with harmless():
            if claimed(error, by="jobs"):
                context = {"job": self.name, "arguments": self._arguments()}
                self.holdfast.report(error, context=context, labels={"job": self.name})

    def _arguments(self) -> dict[str, str]:
        if self.signature is None:
            return {}
        # Partly: a call with the wrong arguments fails too, and is to be told as well as it can.
        try:
            given = self.signature.bind_partial(*self.args, **self.kwargs).arguments
        except TypeError:
            given = {"args": self.args, **self.kwargs}
        return {n: REMOVED if is_secret(n) else _short(value) for n, value in given.items()}


def _short(value: object) -> str:
    limits = reprlib.Repr()
    limits.maxstring = limits.maxother = _LONGEST_REPR
    text = without_secrets(limits.repr(value))
    return text if len(text) <= _LONGEST_ARGUMENT else f"{text[:_LONGEST_ARGUMENT]}..."

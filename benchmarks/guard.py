"""Measures what a guarded call costs while all is well, beside other circuit breakers in Python.

All peers guard the same function, in one process and in one run, taking turns. Only Holdfast and
interlock know a failure rate within a rolling time window; the others count failures in a row.
"""

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from statistics import median

import circuitbreaker  # type: ignore[import-untyped]  # it ships no types
import interlock
import purgatory
import pybreaker

from benchmarks.arena import Arena
from benchmarks.fleet_member import require_guidance
from benchmarks.result import Comparison, Fact, Result
from benchmarks.size import Size
from holdfast.client import BreakerOpen, Holdfast
from holdfast.domain.breaker import BreakerStatus
from standalone.ports import free_ports

_NAME = "guarded"
# What the call may cost over a bare one.
_SYNC_AIM, _ASYNC_AIM = 500.0, 700.0

Sync = Callable[[int], int]
Async = Callable[[int], Awaitable[int]]


def _call(number: int) -> int:
    return number


async def _acall(number: int) -> int:
    return number


async def guard(arena: Arena, size: Size) -> Result:
    """Closed-state calls, sync and async; rejected calls; a repeated report; a feature switch."""
    url = arena.api_url.removesuffix("/api/system")
    with Holdfast(url, arena.key, service="bench") as holdfast:
        # Its threads run and its snapshot is taken, as in a service at work.
        require_guidance(holdfast)
        sync = _sync_turns(_sync_peers(holdfast), size)
        asynchronous = await _async_turns(_async_peers(holdfast), size)
        facts = [
            Fact("sync call, over the bare one", _over(sync), "ns", _SYNC_AIM),
            Fact("async call, over the bare one", _over(asynchronous), "ns", _ASYNC_AIM),
            Fact("sync call, Holdfast away", _away(size), "ns"),
            *_other_calls(holdfast, size),
        ]
        holdfast.flush(timedelta(seconds=5))
    return Result(
        "A guarded call while the breaker is closed, in contact with the API",
        [*_compared("sync", sync), *_compared("async", asynchronous)],
        facts=facts,
        notes=[
            f"medians of {size.turns} turns of {size.calls} calls each",
            "rolling time window: Holdfast and interlock; the others count failures in a row",
        ],
        peer="peer",
    )


def _sync_peers(holdfast: Holdfast) -> dict[str, Sync]:
    rolling = interlock.Config(window_type=interlock.WindowType.TIME_BASED, window_size=60)
    factory = purgatory.SyncCircuitBreakerFactory()
    return {
        "bare call": _call,
        "Holdfast": holdfast.guard(_NAME)(_call),
        "circuitbreaker": circuitbreaker.circuit(_call),
        "purgatory": factory(_NAME)(_call),
        "pybreaker": pybreaker.CircuitBreaker()(_call),
        "interlock": interlock.CircuitBreaker(name=_NAME, config=rolling)(_call),
    }


def _async_peers(holdfast: Holdfast) -> dict[str, Async]:
    rolling = interlock.Config(window_type=interlock.WindowType.TIME_BASED, window_size=60)
    factory = purgatory.AsyncCircuitBreakerFactory()
    return {
        "bare call": _acall,
        "Holdfast": holdfast.guard(_NAME)(_acall),
        "circuitbreaker": circuitbreaker.circuit(_acall),
        "purgatory": factory(_NAME)(_acall),
        # pybreaker does not guard coroutines: it counts their making as the call.
        "interlock": interlock.CircuitBreaker(name=f"{_NAME}-async", config=rolling)(_acall),
    }


def _sync_turns(peers: Mapping[str, Sync], size: Size) -> dict[str, float]:
    """Nanoseconds a call of each peer, as the median of its turns."""
    took: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(size.turns):
        for name, call in peers.items():
            took[name].append(_sync_turn(call, size.calls))
    return {name: median(turns) for name, turns in took.items()}


async def _async_turns(peers: Mapping[str, Async], size: Size) -> dict[str, float]:
    """As with sync calls; each turn awaits its calls one after the other."""
    took: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(size.turns):
        for name, call in peers.items():
            took[name].append(await _async_turn(call, size.calls))
    return {name: median(turns) for name, turns in took.items()}


def _sync_turn(call: Sync, calls: int) -> float:
    gc.collect()
    began = time.perf_counter_ns()
    for number in range(calls):
        call(number)
    return (time.perf_counter_ns() - began) / calls


async def _async_turn(call: Async, calls: int) -> float:
    gc.collect()
    began = time.perf_counter_ns()
    for number in range(calls):
        await call(number)
    return (time.perf_counter_ns() - began) / calls


def _over(took: Mapping[str, float]) -> float:
    return took["Holdfast"] - took["bare call"]


def _compared(kind: str, took: Mapping[str, float]) -> list[Comparison]:
    """Holdfast beside each peer; it is to be the faster one of all but the bare call."""
    return [
        Comparison(
            f"{kind}: {name}",
            "ns",
            took["Holdfast"],
            nanoseconds,
            aim=None if name == "bare call" else 1.0,
        )
        for name, nanoseconds in took.items()
        if name != "Holdfast"
    ]


def _away(size: Size) -> float:
    """What a call costs while nothing answers, and the client's threads keep trying."""
    [port] = free_ports(1)
    with Holdfast(f"http://127.0.0.1:{port}", "hf_nobody", service="bench", spill=None) as holdfast:
        call = holdfast.guard(_NAME)(_call)
        return median(_sync_turn(call, size.calls) for _ in range(size.turns))


def _other_calls(holdfast: Holdfast, size: Size) -> list[Fact]:
    """What else happens within a service's own calls."""
    rejected = _opened(holdfast)
    error = _raised()
    holdfast.report(error)
    return [
        Fact("rejected call, the exception's making included", _turn(rejected, size), "ns"),
        Fact("report of a repeated error", _turn(lambda: holdfast.report(error), size), "ns"),
        Fact("feature switch", _turn(lambda: holdfast.feature("hd-transcode"), size), "ns"),
    ]


def _turn(call: Callable[[], object], size: Size) -> float:
    return median(_sync_turn(lambda _: call(), size.calls) for _ in range(size.turns))  # type: ignore[arg-type,return-value]


def _opened(holdfast: Holdfast) -> Callable[[], None]:
    """A call whose breaker tripped."""
    fail = holdfast.guard("failing")(_fail)

    def rejected() -> None:
        try:
            fail()
        except BreakerOpen:
            return

    while holdfast.breaker("failing").status is not BreakerStatus.OPEN:
        try:
            fail()
        except ConnectionError:
            continue
    return rejected


def _raised() -> BaseException:
    """An exception with a traceback, as a service's handler has it."""
    try:
        _fail()
    except ConnectionError as error:
        return error
    raise AssertionError("it always fails")


def _fail() -> None:
    raise ConnectionResetError("connection reset by peer")

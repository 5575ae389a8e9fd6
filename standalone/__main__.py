"""``python -m standalone``: run the whole system until Ctrl-C.

Ends with 0 when it was asked to stop, 2 when a setting, a port or the data folder stands in the
way (nothing was started), 1 when a part did not come up.
"""

import asyncio
import os
import signal
import sys
import time
from datetime import timedelta

from pydantic import ValidationError
from rich.console import Console

from config.settings import Settings
from holdfast.errors import ConfigurationError, HoldfastError
from standalone import banner
from standalone.system import System

STOPPED, FAILED, MISCONFIGURED = 0, 1, 2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPLACED = ("HOLDFAST_DATABASE_URL", "TEMPORAL_ADDRESS")


def main() -> int:
    """Run until a signal asks to stop; the return value is the exit code."""
    started = time.monotonic()
    console = Console(highlight=False)
    try:
        return asyncio.run(_serve(_read_settings(), console, started))
    except HoldfastError as error:
        print(f"holdfast: {error}", file=sys.stderr)  # noqa: T201  # one plain line for people
        return MISCONFIGURED if isinstance(error, ConfigurationError) else FAILED


def _read_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"HOLDFAST_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(problems) from None


async def _serve(settings: Settings, console: Console, started: float) -> int:
    def say(line: str) -> None:
        console.print(line, markup=False, style="yellow", overflow="ellipsis", no_wrap=True)

    for name in REPLACED:
        if name in os.environ:
            say(f"{name} is not used here: this system brings its own")
    system = System(settings, say=say)
    _stop_on_signals(system, console)
    try:
        async with system:
            banner.show(console, system, took=timedelta(seconds=time.monotonic() - started))
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        console.print("Stopped.")
    return STOPPED


def _stop_on_signals(system: System, console: Console) -> None:
    """The first signal stops everything in order; one more, and what still runs is killed."""
    serving = asyncio.current_task()
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked:
            system.hurry()
            return
        asked = True
        console.print("\nStopping...")
        if serving is not None:
            serving.cancel()

    for stop_signal in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(stop_signal, on_signal)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m examples.demo``: five outages, told while they happen, on a real system.

It starts Holdfast on free ports with a folder of its own, three live channels over RTMP and
a stand-in for Slack; breaks them; and ends by itself. The exit code is 0 only when everything that
it told was seen to happen: 1 when something was not, 2 when it could not be started, 130 when it
was interrupted.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic

import httpx
import psutil

from examples.demo.claims import ClaimFailed, eventually, receivers, require
from examples.demo.stage import Stage, set_up
from examples.demo.stories import STORIES
from examples.demo.teller import Teller
from holdfast.domain.notification import NotificationKind
from holdfast.errors import HoldfastError

TOLD, FAILED, NOT_STARTED, INTERRUPTED = 0, 1, 2, 130
CLOSED_WITHIN = timedelta(seconds=30)
# Two in the fourth story, three in the fifth.
PAGES_IN_ALL = 5
GONE_WITHIN = timedelta(seconds=5)


def main() -> int:
    """Tell it all; the return value is the exit code."""
    options = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    options.add_argument(
        "--stay", action="store_true", help="keep everything running at the end, until Ctrl-C"
    )
    chosen = options.parse_args()
    teller = Teller.at_terminal()
    home = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    code = FAILED
    try:
        code = asyncio.run(_tell(home, teller, stays=chosen.stay))
    except ClaimFailed as error:
        teller.failed(f"Not as told: {error}")
    except httpx.HTTPError as error:
        teller.failed(f"Not as told: a request got no answer: {error!r}")
    except HoldfastError as error:
        teller.failed(f"It could not be started: {error}")
        code = NOT_STARTED
    finally:
        if code in {TOLD, INTERRUPTED}:
            shutil.rmtree(home, ignore_errors=True)
        else:
            teller.aside(f"What every process printed is kept in {home / 'logs'}")
    return code


async def _tell(home: Path, teller: Teller, *, stays: bool) -> int:
    _cancel_on_signals()
    try:
        family = await _perform(home, teller, stays=stays)
    except asyncio.CancelledError:
        teller.aside("Interrupted; everything is stopped.")
        return INTERRUPTED
    await _require_gone(family)
    teller.tell(
        "Everything told here was seen to happen: by the API, the audit log, the frame counters on "
        "both ends, and Slack's stand-in. Nothing is left running."
    )
    return TOLD


async def _perform(home: Path, teller: Teller, *, stays: bool) -> list[psutil.Process]:
    """Tell all stories; gives the processes that took part, which are stopped by then."""
    teller.opening()
    started = monotonic()
    async with set_up(home, teller) as stage:
        took = timedelta(seconds=monotonic() - started)
        teller.ready(stage.system.api_url, stage.system.temporal_ui_url, took=took)
        endings = []
        for number, (title, story) in enumerate(STORIES, start=1):
            teller.chapter(f"{number} of {len(STORIES)}: {title}")
            endings.append(await story(stage, teller))
        await _require_calm(stage, teller)
        teller.chapter(f"What happened, in {monotonic() - started:.0f} s")
        teller.summary(endings)
        if stays:
            teller.tell("Everything keeps running; Ctrl-C stops it.")
            # The end that was asked for, and no interruption: all has been told.
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return psutil.Process().children(recursive=True)


async def _require_calm(stage: Stage, teller: Teller) -> None:
    """All is well again; Slack took every message, and no page but those of the stories."""
    with teller.waiting("the last incidents close"):
        await eventually(
            "no incident is left open",
            stage.holdfast.active,
            holds=lambda titles: not titles,
            within=CLOSED_WITHIN,
        )
    pages = receivers(stage.slack.messages, NotificationKind.PAGE)
    require("Slack has five pages in all", holds=len(pages) == PAGES_IN_ALL, seen=pages)
    refusals = stage.slack.refusals
    require("Slack refuses no message", holds=not refusals, seen=refusals)


async def _require_gone(family: list[psutil.Process]) -> None:
    async def look() -> list[int]:
        return [each.pid for each in family if _lives(each)]

    await eventually(
        "no process is left behind", look, holds=lambda left: not left, within=GONE_WITHIN
    )


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _cancel_on_signals() -> None:
    """The first signal stops everything in order; a second one ends this process at once."""
    telling = asyncio.current_task()
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked or telling is None:
            # The kernel ends what this process started; see standalone/tether.py.
            os._exit(INTERRUPTED)
        asked = True
        telling.cancel()

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(each, on_signal)


if __name__ == "__main__":
    sys.exit(main())

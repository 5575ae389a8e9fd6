"""``python -m benchmarks``: measure Holdfast beside its peers, and print ratios."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import latency
from benchmarks.arena import Arena, arena
from benchmarks.cost import cost
from benchmarks.fleet import fleet
from benchmarks.guard import guard
from benchmarks.pace import pace
from benchmarks.result import Result
from benchmarks.size import QUICK, Size
from benchmarks.storm import storm
from benchmarks.streams import streams
from benchmarks.table import as_json, show, surroundings
from benchmarks.throughput import burst, throughput
from holdfast.errors import HoldfastError

Benchmark = Callable[[Arena, Size], Awaitable[Result]]

BENCHMARKS: dict[str, Benchmark] = {
    "first-task": latency.first_task,
    "page": latency.page,
    "pace": pace,
    "throughput": throughput,
    "burst": burst,
    "cost": cost,
    "storm": storm,
    "guard": guard,
    "fleet": fleet,
    "streams": streams,
}


def main() -> int:
    """Measure what was asked for; the return value is the exit code."""
    asked = _arguments()
    console = Console(highlight=False)
    size = QUICK if asked.quick else Size()
    before = surroundings()
    console.print(f"{before['cores']} cores, load {before['load'][0]}, Python {before['python']}")
    try:
        results = asyncio.run(_measure(asked.benchmarks or list(BENCHMARKS), size, console))
    except HoldfastError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if asked.json:
        found = {"before": before, "after": surroundings(), "results": as_json(results)}
        asked.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "benchmarks", nargs="*", metavar="BENCHMARK", help=f"of {', '.join(BENCHMARKS)}; else all"
    )
    parser.add_argument("--quick", action="store_true", help="a small sample, for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    asked = parser.parse_args()
    if unknown := set(asked.benchmarks) - BENCHMARKS.keys():
        parser.error(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}"
        )
    return asked


async def _measure(names: Sequence[str], size: Size, console: Console) -> list[Result]:
    def say(line: str) -> None:
        console.print(line, style="yellow", markup=False)

    results = []
    async with arena(say) as place:
        for name in names:
            results.append(await BENCHMARKS[name](place, size))
            show(console, results[-1])
    return results


if __name__ == "__main__":
    sys.exit(main())

"""Owns how results are shown: a table for people, JSON for programs."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.result import Comparison, Fact, Result

_ROUND_FROM = 1000
_YES_OR_NO = {True: "yes", False: "NO", None: ""}


def surroundings() -> dict[str, Any]:
    """What the numbers depend on beside the code: the machine and how busy it was."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def show(console: Console, result: Result) -> None:
    """Print one result."""
    table = Table(title=result.title, title_justify="left", title_style="bold")
    if result.comparisons:
        for heading in ("", "Holdfast", result.peer, "ratio", "aim", "met"):
            table.add_column(heading, justify="right" if heading else "left")
    else:
        for heading in ("", "Holdfast", "aim", "met"):
            table.add_column(heading, justify="right" if heading else "left")
    for comparison in result.comparisons:
        table.add_row(*_comparison_row(comparison))
    for fact in result.facts:
        table.add_row(*_fact_row(fact))
    console.print(table)
    for note in result.notes:
        console.print(f"  {note}", highlight=False, soft_wrap=True)
    console.print()


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The results with their ratios and whether the aims are met."""
    return [
        asdict(result)
        | {
            "comparisons": [
                asdict(each) | {"ratio": each.ratio, "met": each.met} for each in result.comparisons
            ],
            "facts": [asdict(each) | {"met": each.met} for each in result.facts],
        }
        for result in results
    ]


def _comparison_row(found: Comparison) -> tuple[str, ...]:
    return (
        found.name,
        _amount(found.holdfast, found.unit),
        _amount(found.peer, found.unit),
        f"{found.ratio:.2f}",
        "" if found.aim is None else f"≤ {found.aim:g}",
        _YES_OR_NO[found.met],
    )


def _fact_row(fact: Fact) -> tuple[str, ...]:
    aim = "" if fact.at_most is None else f"≤ {fact.at_most:g}"
    return fact.name, _amount(fact.value, fact.unit), aim, _YES_OR_NO[fact.met]


def _amount(value: float, unit: str) -> str:
    digits = 0 if value >= _ROUND_FROM or value == round(value) else 1
    return f"{value:,.{digits}f} {unit}".strip()

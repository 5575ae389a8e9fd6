"""Owns what is said of a name in the policy file that leads nowhere, or round in a circle."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

Place = tuple[str | int, ...]


class Dangling(NamedTuple):
    """Something in the policy that leads nowhere, with the way to it."""

    path: Place
    problem: str

    def __str__(self) -> str:
        return f"{'.'.join(str(part) for part in self.path)}: {self.problem}"


def missing(noun: str, name: str, known: Iterable[str]) -> str:
    """Say that there is no such thing, and which one may have been meant."""
    return f"no {noun} {name!r}{did_you_mean(name, known)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give the known name that a wrong one may stand for, as an ending for a message."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def circles(leads_to: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, ...]]:
    """Find the circles among names that lead to others.

    Args:
        leads_to: Where each name leads; one that leads nowhere known is in no circle.

    Returns:
        Each circle once, such as ``("a", "b", "a")``, from its name that stands first. Of circles
        that share the step from their first name to the next, only one is told.
    """
    ways = {name: list(dict.fromkeys(others)) for name, others in leads_to.items()}
    while circle := _circle(ways):
        yield circle
        first, second, *_ = circle
        ways[first].remove(second)


def _circle(ways: Mapping[str, Iterable[str]]) -> tuple[str, ...] | None:
    try:
        TopologicalSorter(ways).prepare()
    except CycleError as error:
        # Backwards: the sorter names whatever leads to something after that.
        found = error.args[1][:0:-1]
        start = found.index(min(found, key=list(ways).index))
        return (*found[start:], *found[:start], found[start])
    return None

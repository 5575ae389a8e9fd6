"""Owns the YAML document: its data, the line that each part came from, and what was wrong in it.

It reads YAML 1.2's plain values, where YAML 1.1 has traps: ``no`` and ``on`` are text, ``1:30`` is
not ninety, and a date stays as it was written.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import yaml

from holdfast.errors import ConfigurationError

Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing wrong in a document, for whoever wrote it.

    Attributes:
        line: 1 for the first.
        path: Where, from the document's root; empty for the whole.
        message: What was expected.
    """

    line: int
    path: Path
    message: str

    def __str__(self) -> str:
        place = ".".join(str(part) for part in self.path)
        return f"{place}: {self.message}" if place else self.message


def refusal(name: str, problems: Iterable[Problem]) -> ConfigurationError:
    """All problems of a document as one error, a line each, in the document's order."""
    lines = [f"{name}:{problem.line}: {problem}" for problem in sorted(problems, key=_place)]
    return ConfigurationError("\n".join(lines))


def _place(problem: Problem) -> tuple[int, str]:
    return problem.line, str(problem)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the plain values of YAML 1.2's core schema."""


_LEFT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] in _LEFT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
]:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})$"), list(_first)
    )


@dataclass(frozen=True)
class Document:
    """A YAML document.

    Attributes:
        name: The file's name, for messages.
        data: Mappings, lists and plain values; None when there is nothing but comments.
    """

    name: str
    data: Any
    _root: yaml.Node | None

    @classmethod
    def read(cls, text: str, name: str) -> Self:
        """Read a text that holds one document.

        Raises:
            ConfigurationError: If it is not YAML, or gives a key twice.
        """
        try:
            loader = _Loader(text)
            root = loader.get_single_node()
            if root and (repeated := list(_repeated_keys(root, (), set()))):
                raise refusal(name, repeated)
            data = loader.construct_document(root) if root else None
        except yaml.MarkedYAMLError as error:
            raise ConfigurationError(f"{name}:{_marked(error)}") from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            character = f"U+{ord(text[error.position]):04X}"
            raise ConfigurationError(
                f"{name}:{line}: holds the character {character}, which YAML does not allow"
            ) from error
        return cls(name, data, root)

    def holds(self, path: Path) -> bool:
        """Whether there is anything at a path, be it nothing written after its key."""
        return len(list(self._nodes(path))) == len(path)

    def line(self, path: Path) -> int:
        """The line of a path, or of the part of it that is there."""
        *_, line = (1, *(key.start_mark.line + 1 for key, _ in self._nodes(path)))
        return line

    def _nodes(self, path: Path) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """The key and the value of each part of a path, as far as it leads."""
        node = self._root
        for part in path:
            found = _child(node, part)
            if found is None:
                return
            yield found
            node = found[1]


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    match node:
        case yaml.MappingNode():
            # From behind: what a merge (<<) brought in stands before the mapping's own keys.
            pairs = reversed(node.value)
            return next((pair for pair in pairs if pair[0].value == str(part)), None)
        case yaml.SequenceNode() if isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part]
        case _:
            return None


def _repeated_keys(node: yaml.Node, path: Path, seen: set[int]) -> Iterator[Problem]:
    """The keys that a mapping gives twice, of which YAML readers silently keep one."""
    if id(node) in seen:
        return
    seen.add(id(node))
    match node:
        case yaml.MappingNode():
            lines: dict[str, int] = {}
            for key, value in node.value:
                here, line = (*path, str(key.value)), key.start_mark.line + 1
                if first := lines.get(str(key.value)):
                    yield Problem(line, here, f"given a second time; line {first} has it already")
                lines.setdefault(str(key.value), line)
                yield from _repeated_keys(value, here, seen)
        case yaml.SequenceNode():
            for place, value in enumerate(node.value):
                yield from _repeated_keys(value, (*path, place), seen)


def _marked(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"{mark.line + 1}:{mark.column + 1}: " if mark else " "
    said = ", ".join(part for part in (error.context, error.problem) if part)
    hint = "; indent with spaces" if "'\\t'" in said else ""
    return f"{place}not YAML: {said}{hint}"

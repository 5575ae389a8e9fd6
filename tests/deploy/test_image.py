"""The Dockerfile, read closely, for the same reason."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def arguments(instructions, name):
    return [rest for instruction, rest in instructions if instruction == name]


def test_it_does_not_run_as_root(instructions):
    """By number: a cluster that forbids root cannot check a name."""
    (user,) = arguments(instructions, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_what_it_installs_is_locked(instructions):
    (install,) = [run for run in arguments(instructions, "RUN") if "install" in run]
    assert "--require-hashes" in install


def test_it_copies_what_exists_and_is_let_through(instructions):
    """What .dockerignore holds back is not there to copy."""
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in let_through
    for source in (copy.split()[0] for copy in arguments(instructions, "COPY")):
        if not source.startswith("--from"):
            assert (ROOT / source).exists()
            assert f"!{source}" in let_through


def test_its_health_check_is_the_api_s(instructions, compose):
    (check,) = arguments(instructions, "HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + len("CMD") :])
    assert compose.services["api"]["healthcheck"]["test"] == ["CMD", *command]

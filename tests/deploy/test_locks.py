"""The lock files in requirements/ against pyproject.toml and against each other."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ALWAYS = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED = {
    "server": [*ALWAYS, *EXTRAS["server"]],
    "run": [*ALWAYS, *EXTRAS["server"], *EXTRAS["standalone"]],
    "dev": [
        *ALWAYS,
        *EXTRAS["server"],
        *EXTRAS["standalone"],
        *PROJECT["dependency-groups"]["dev"],
    ],
}


def locked(name):
    """The version of each package in a lock file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    found = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {canonicalize_name(package): version for package, version in found}


@pytest.mark.parametrize("name", WANTED)
def test_a_lock_holds_what_the_project_asks_for(name):
    """When it does not, someone forgot `make lock`."""
    versions = locked(name)
    for wanted in map(Requirement, WANTED[name]):
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), wanted


@pytest.mark.parametrize(("smaller", "larger"), [("server", "run"), ("run", "dev")])
def test_the_locks_agree(smaller, larger):
    """The image, `make up` and the tests run the same versions."""
    assert locked(smaller).items() <= locked(larger).items()


@pytest.mark.parametrize("name", [*WANTED, "uv"])
def test_a_lock_says_nothing_of_where_packages_come_from(name):
    """Everybody has their own mirror."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert "index-url" not in text

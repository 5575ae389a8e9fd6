"""The whole system as real processes, on free ports, with a folder of its own."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from standalone.system import System


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A data folder, removed at the end.

    Not pytest's: PostgreSQL does not run as root, and its user cannot enter root's pytest folder.
    """
    home = Path(tempfile.mkdtemp(prefix="holdfast-test-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    with temporary_home() as folder:
        yield folder


@pytest.fixture(scope="session")
async def system() -> AsyncIterator[System]:
    """One running system for all tests; who breaks a part of it starts that part again."""
    with temporary_home() as folder:
        async with System.on_free_ports(folder, say=print) as running:
            yield running

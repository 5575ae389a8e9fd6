"""A client, the stand-in that it reports to, and what keeps reports on disk."""

import logging
from datetime import timedelta

import pytest

from holdfast.client import Holdfast
from holdfast.client.spill import Spill
from tests.client.control_plane import ControlPlane


@pytest.fixture
def plane():
    plane = ControlPlane()
    yield plane
    plane.close()


@pytest.fixture
def holdfast(plane):
    with Holdfast(plane.url, "secret-key", service="shop", spill=None) as holdfast:
        yield holdfast


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spill"


@pytest.fixture
def client(plane, folder):
    """Makes clients that spill there."""
    made = []

    def make(**settings):
        settings = {"service": "shop", "spill": folder} | settings
        made.append(Holdfast(plane.url, "key", **settings))
        return made[-1]

    yield make
    for each in made:
        each.close(timedelta(seconds=0.1))


@pytest.fixture
def spill(folder):
    """Makes spills as processes have them."""
    made = []

    def make(**settings):
        settings = {"url": "http://holdfast", "service": "shop"} | settings
        made.append(Spill(folder, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO, logger="holdfast")

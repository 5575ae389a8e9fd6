"""A client that talks to nobody, and what it was told."""

import pytest

from holdfast.testing import FakeHoldfast


@pytest.fixture
def holdfast():
    with FakeHoldfast(service="shop") as fake:
        yield fake


@pytest.fixture
def reports(holdfast):
    return holdfast.reports

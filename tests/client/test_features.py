"""Features: what of itself a service leaves out, from the snapshot in memory."""

import pytest

from holdfast.domain.guidance import ServiceGuidance
from tests.client.process import GRACE, Process


@pytest.fixture
def switchboard():
    return Process(heard=False).switchboard


def hear(switchboard, *off, service="shop", whole=False):
    guidance = ServiceGuidance(service=service, features_off=off)
    switchboard.heard([guidance], whole=whole)


@pytest.mark.parametrize("default", [True, False])
def test_until_something_is_heard_the_default_holds(switchboard, default):
    assert switchboard.feature("hd", default=default, service=None) is default


def test_what_is_switched_off_is_off_and_all_else_is_on(switchboard):
    hear(switchboard, "hd")
    assert not switchboard.feature("hd", default=True, service=None)
    assert switchboard.feature("previews", default=False, service=None)


def test_a_service_has_features_of_its_own(switchboard):
    hear(switchboard, "hd", service="channels")
    assert not switchboard.feature("hd", default=True, service="channels")
    assert switchboard.feature("hd", default=True, service="shop")


def test_what_a_snapshot_does_not_know_has_nothing_off(switchboard):
    hear(switchboard, "hd", service="shop")
    hear(switchboard, service="channels", whole=True)
    assert switchboard.feature("hd", default=False, service="shop")
    assert switchboard.feature("hd", default=False, service="never-heard-of")


def test_out_of_contact_features_stay_as_they_are():
    """Missing news are no reason to take on load again."""
    process = Process()
    hear(process.switchboard, "hd")
    process.clock.advance(GRACE * 10)
    assert not process.switchboard.feature("hd", default=True, service=None)


def test_a_process_without_a_service_has_the_default():
    process = Process(heard=False)
    process.switchboard._service = None
    assert not process.switchboard.feature("hd", default=False, service=None)


def test_when_it_is_off_every_feature_is_on():
    process = Process(off=True, heard=False)
    assert process.switchboard.feature("hd", default=False, service=None)

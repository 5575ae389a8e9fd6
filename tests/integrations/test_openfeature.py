"""The OpenFeature provider, asked through OpenFeature's own client."""

import threading

import pytest
from openfeature import api
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from holdfast.integrations.openfeature import HoldfastProvider

DEADLINE = 10.0


@pytest.fixture
def provider(holdfast):
    provider = HoldfastProvider(holdfast)
    api.set_provider_and_wait(provider)
    yield provider
    api.shutdown()


@pytest.fixture
def flags(provider):
    return api.get_client()


def test_a_feature_that_is_off_is_false(flags, holdfast):
    holdfast.switch_off("hd-transcode")
    details = flags.get_boolean_details("hd-transcode", default_value=True)
    assert details.value is False
    assert details.reason == Reason.DISABLED
    assert details.variant == "off"
    holdfast.switch_on("hd-transcode")
    assert flags.get_boolean_value("hd-transcode", default_value=True) is True


@pytest.mark.parametrize("default", [True, False])
def test_any_other_flag_has_its_default(flags, holdfast, default):
    """Holdfast knows what is off, not what should be on."""
    holdfast.switch_off("previews")
    details = flags.get_boolean_details("new-checkout", default_value=default)
    assert details.value is default
    assert details.reason == Reason.DEFAULT
    assert details.error_code is None


async def test_it_answers_coroutines_too(flags, holdfast):
    holdfast.switch_off("hd-transcode")
    assert await flags.get_boolean_value_async("hd-transcode", default_value=True) is False


def test_flags_of_other_types_have_their_default(flags, holdfast):
    holdfast.switch_off("bitrate")
    assert flags.get_string_value("bitrate", "6000k") == "6000k"
    assert flags.get_integer_value("bitrate", 6000) == 6000
    assert flags.get_float_value("bitrate", 6.5) == 6.5
    assert flags.get_object_value("bitrate", {"k": 6000}) == {"k": 6000}


def test_another_services_features_can_be_meant(holdfast):
    api.set_provider_and_wait(HoldfastProvider(holdfast, service="encoder"), "encoder")
    holdfast.switch_off("hd-transcode", service="encoder")
    holdfast.switch_off("previews")
    flags = api.get_client("encoder")
    assert flags.get_boolean_value("hd-transcode", default_value=True) is False
    assert flags.get_boolean_value("previews", default_value=True) is True
    api.shutdown()


class Heard:
    """OpenFeature tells of changes on threads of its own."""

    def __init__(self):
        self.changes = []
        self._heard = threading.Condition()

    def __call__(self, details):
        with self._heard:
            self.changes.append(details.flags_changed)
            self._heard.notify_all()

    def wait_for(self, count):
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.changes) >= count, DEADLINE)


def test_changes_are_told_with_the_flags_that_changed(flags, holdfast):
    heard = Heard()
    flags.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, heard)
    holdfast.switch_off("hd-transcode", "previews")
    holdfast.switch_off("previews", service="encoder")
    holdfast.open_breaker("shop")
    holdfast.switch_on("previews")
    heard.wait_for(2)
    assert heard.changes == [["hd-transcode", "previews"], ["previews"]]


def test_no_change_is_told_after_the_shutdown(provider, holdfast):
    heard = Heard()
    provider.attach(lambda *told: heard(told[2]))
    provider.shutdown()
    holdfast.switch_off("hd-transcode")
    assert heard.changes == []


def test_a_flag_asked_before_the_provider_is_ready_has_its_default(holdfast):
    """As OpenFeature has it; nothing here makes it wait."""
    provider = HoldfastProvider(holdfast)
    api.set_provider(provider)
    details = api.get_client().get_boolean_details("x", default_value=True)
    assert details.value is True
    assert details.error_code in {None, ErrorCode.PROVIDER_NOT_READY}
    api.shutdown()

"""The channel service obeys Holdfast: breakers in front of its ingests, features of its picture."""

import signal

import pytest

from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import BreakerGuidance
from tests.examples.control_plane import Stage, wait_for

HD = {"hd": True, "previews": True}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One stage for all tests, in which each has a channel of its own."""
    names = ("refused", "spared", "probed", "pictured")
    stage = Stage(tmp_path_factory.mktemp("protection"), *names)
    yield stage
    stage.end(signal.SIGTERM)


def told(status, epoch):
    return BreakerGuidance(status=status, epoch=epoch, reason="a test wants it")


def breaker(stage, channel):
    return stage.channel(channel)["breakers"]["primary"]


def opened(stage, channel):
    """Open the breaker of a channel's primary ingest, and wait until the service knows it."""
    stage.holdfast.say(f"ingest-{channel}-primary", breaker=told(BreakerStatus.OPEN, 1))
    wait_for(lambda: breaker(stage, channel) == "open")


def test_a_publish_that_is_refused_is_told_as_a_failed_call(stage):
    """One call, however often it tried."""
    stage.ingests["refused"].terminate()
    wait_for(lambda: stage.holdfast.of("RtmpConnectionLost:refused"))
    assert stage.act("refused", "restart").status_code == 503
    assert stage.channel("refused")["starts"] > 2

    def counted():
        outcomes = stage.holdfast.outcomes("ingest-refused-primary")
        return sum(each.calls for each in outcomes) == 2 and outcomes

    outcomes = wait_for(counted)
    assert sum(each.failures for each in outcomes) == 1, "the one at the start had passed"


def test_what_a_breaker_rejects_goes_to_the_standby_without_an_ffmpeg(stage):
    opened(stage, "spared")
    before = stage.channel("spared")
    answer = stage.act("spared", "restart")
    after = stage.channel("spared")
    assert (answer.status_code, answer.json()["feed"]) == (200, "standby")
    assert (after["feed"], after["starts"]) == ("standby", before["starts"] + 1)

    answer = stage.act("spared", "restore")
    assert answer.status_code == 503
    assert (
        answer.json()["reason"] == "the breaker of ingest-spared-primary is open: a test wants it"
    )
    left = stage.channel("spared")
    assert (left["feed"], left["starts"]) == ("standby", after["starts"])
    assert left["pid"] == after["pid"], "what was on the air stays there"


def test_the_first_publish_in_half_open_is_the_probe(stage):
    """It is rejected, asks for a lease, and goes on with that; how it went is told at once."""
    ingest = "ingest-probed-primary"
    opened(stage, "probed")
    stage.holdfast.say(ingest, breaker=told(BreakerStatus.HALF_OPEN, 2))
    wait_for(lambda: breaker(stage, "probed") == "half_open")
    assert stage.act("probed", "restart").status_code == 200
    [probe] = wait_for(lambda: stage.holdfast.probes(ingest))
    assert (probe.epoch, probe.passed) == (2, True)
    # On a busy machine it may have asked again before it had the first answer.
    asked = {request.lease_id: service for service, request in stage.holdfast.leases}
    assert asked[probe.lease_id] == ingest


def test_switched_features_change_what_is_sent(stage):
    """The picture gets small and loses its preview, and gets both back, without being told to."""

    def rate():
        frames, size = stage.received("pictured")
        return frames > 15 and size / frames

    def shows(picture):
        channel = stage.channel("pictured")
        return channel["status"] == "on_air" and channel["picture"] == picture

    def preview():
        return stage.http.get("/channels/pictured/preview")

    assert shows(HD)
    rich = wait_for(rate)
    assert wait_for(lambda: preview().is_success and preview()).content.startswith(b"\xff\xd8")

    stage.holdfast.say("channels", features_off=("previews", "hd-transcode"))
    wait_for(lambda: shows({"hd": False, "previews": False}))
    assert preview().status_code == 404
    assert wait_for(rate) < rich / 4

    stage.holdfast.say("channels")
    wait_for(lambda: shows(HD))
    assert wait_for(rate) > rich / 2
    assert not stage.holdfast.of("RtmpConnectionLost:pictured"), "a change of picture is no failure"

"""The channel service for real: ffmpeg publishing over RTMP to ffmpeg, broken on purpose."""

import asyncio
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.policy import parse
from examples.channels.picture import Picture
from examples.channels.request import ANSWERS_KEPT, Answers
from examples.channels.run import Fault, Run
from examples.channels.settings import ChannelConfig, ChannelFile, Feed, Settings
from examples.channels.view import Outcome
from tests.examples.control_plane import Stage, wait_for

OUTCOME = Outcome(done=True, channel="news", feed=Feed.PRIMARY, reason=None, stderr=[])
README = Path(__file__).parents[2] / "examples/channels/README.md"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """One stage for all tests, in which each breaks a channel of its own."""
    stage = Stage(tmp_path_factory.mktemp("channels"), "killed", "stalled", "lost", "well")
    yield stage
    stage.end(signal.SIGTERM)


def test_a_killed_publisher_is_reported_until_a_signed_restart_brings_frames_back(stage):
    os.kill(stage.channel("killed")["pid"], signal.SIGKILL)
    first, *_ = wait_for(lambda: stage.holdfast.of("StreamProcessDied:killed")[:2])
    health = stage.http.get("/channels/killed/health")
    assert (health.status_code, health.json()["status"]) == (503, "down")
    assert "SIGKILL" in health.json()["reason"]
    assert (first.service, first.error_type) == ("channels", "StreamProcessDied")
    assert first.labels == {"channel": "killed"}
    assert first.context["exit_code"] == -9
    assert first.context["frames"] > 0

    assert stage.act("killed", "restart").status_code == 200
    told = len(stage.holdfast.of("StreamProcessDied:killed"))
    frames = stage.channel("killed")["frames"]
    wait_for(lambda: stage.channel("killed")["frames"] > frames > 0)
    assert stage.healthy("killed")
    assert len(stage.holdfast.of("StreamProcessDied:killed")) == told, "and silence from then on"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "nonsense"},
        {"webhook-timestamp": "1"},
    ],
)
def test_an_action_without_a_good_signature_is_refused(stage, headers):
    if headers:
        answer = stage.act("well", "restart", **headers)
    else:
        answer = stage.http.post("/channels/well/restart")
    assert answer.status_code == 401


def test_a_repeated_idempotency_key_gets_the_stored_answer(stage):
    key = {"Idempotency-Key": "incident-1:restart"}
    first = stage.act("well", "restart", **key)
    pid = stage.channel("well")["pid"]
    second = stage.act("well", "restart", **key)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert stage.channel("well")["pid"] == pid


def test_a_publisher_that_is_stuck_is_reported_for_its_missing_frames(stage):
    wait_for(lambda: stage.http.get("/channels/stalled/preview").is_success)
    os.kill(stage.channel("stalled")["pid"], signal.SIGSTOP)
    [report] = wait_for(lambda: stage.holdfast.of("NoFrames:stalled")[:1])
    assert report.context["exit_code"] is None
    assert stage.http.get("/channels/stalled/health").status_code == 503
    assert stage.http.get("/channels/stalled/preview").status_code == 404, "it is an old one"
    assert stage.act("stalled", "restart").status_code == 200


def test_a_lost_ingest_is_reported_and_the_standby_takes_over(stage):
    stage.ingests["lost"].terminate()
    [lost] = wait_for(lambda: stage.holdfast.of("RtmpConnectionLost:lost")[:1])
    assert "Broken pipe" in " ".join(lost.context["stderr_tail"])

    answer = stage.act("lost", "restart")
    assert answer.status_code == 503
    assert answer.json()["reason"].startswith("RtmpConnectionRefused")
    assert "lost-key" not in answer.text, "the stream key is a secret"
    [refused] = wait_for(lambda: stage.holdfast.of("RtmpConnectionRefused:lost")[:1])
    assert "lost-key" not in refused.model_dump_json()

    assert stage.act("lost", "fallback").status_code == 200
    standing = stage.channel("lost")
    assert (standing["feed"], standing["status"]) == ("standby", "on_air")

    assert stage.act("lost", "restore").status_code == 503, "the primary is still away"
    assert stage.channel("lost")["pid"] == standing["pid"], "and the standby stays on the air"


def test_the_service_tells_of_itself_and_its_channels(stage):
    assert stage.http.get("/health").status_code == 200
    names = [channel["name"] for channel in stage.http.get("/channels").json()]
    assert names == ["killed", "stalled", "lost", "well"]
    assert stage.http.get("/channels/none").status_code == 404


def test_killed_supervisors_leave_no_ffmpeg_behind(tmp_path):
    stage = Stage(tmp_path, "news")
    assert len(stage.ffmpegs()) == 3
    stage.end(signal.SIGKILL)


async def test_an_action_under_way_is_not_forgotten_for_later_ones():
    """Its key must act once, and its end must be able to break it off."""
    answers, go_on = Answers(), asyncio.Event()

    async def act():
        await go_on.wait()
        return OUTCOME

    async def quick():
        return OUTCOME.model_copy()

    first = asyncio.create_task(answers.once("first", act))
    for number in range(ANSWERS_KEPT + 1):
        await answers.once(f"later-{number}", quick)
    again = asyncio.create_task(answers.once("first", quick))
    go_on.set()
    assert await first is await again
    await answers.close()


NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = timedelta(seconds=5)


@pytest.mark.parametrize(
    ("exit_code", "words", "fault"),
    [
        (145, "Connection to tcp://h:1 failed: Connection refused", Fault.REFUSED),
        (224, "Error submitting a packet to the muxer: Broken pipe", Fault.LOST),
        (152, "Error opening output rtmp://h/live: Connection reset by peer", Fault.LOST),
        (251, "Cannot open connection tcp://nowhere:1935", Fault.LOST),
        (-9, "Broken pipe", Fault.PROCESS_DIED),
        (255, "", Fault.PROCESS_DIED),
    ],
)
def test_the_last_words_of_ffmpeg_name_the_fault(exit_code, words, fault):
    run = Run(started_at=NOW).ended(exit_code, (words,) if words else ())
    assert run.failure(NOW, patience=PATIENCE).fault is fault


def test_a_run_has_its_patience_to_bring_the_first_frame():
    run = Run(started_at=NOW)
    assert run.failure(NOW + PATIENCE, patience=PATIENCE) is None
    assert run.failure(NOW + PATIENCE * 2, patience=PATIENCE).fault is Fault.NO_FRAMES
    assert not run.on_air(NOW, patience=PATIENCE)


def test_a_frame_count_that_stands_still_is_no_new_frame():
    run = Run(started_at=NOW).advanced(15, now=NOW).advanced(15, now=NOW + PATIENCE)
    assert run.last_frame_at == NOW
    assert run.on_air(NOW + PATIENCE, patience=PATIENCE)


def test_a_picture_without_hd_is_small_and_without_previews_makes_no_file(tmp_path):
    """What Holdfast switches off is really left out."""
    rich = Picture(hd=True, previews=True).arguments("rtmp://h/live", preview=tmp_path / "p.jpg")
    poor = Picture(hd=False, previews=False).arguments("rtmp://h/live", preview=tmp_path / "p.jpg")
    assert rich[-1] == str(tmp_path / "p.jpg")
    assert "testsrc2=size=1280x720:rate=15" in rich
    assert poor[-1] == "rtmp://h/live"
    assert "testsrc2=size=320x180:rate=15" in poor


def test_a_picture_follows_the_features():
    off = {"hd-transcode"}
    assert Picture.of(lambda name: name not in off) == Picture(hd=False, previews=True)


def test_each_ingest_has_the_name_of_its_breaker():
    config = ChannelConfig(name="news", primary="rtmp://a/live/k", standby="rtmp://b/live/k")
    assert [config.ingest(feed) for feed in Feed] == ["ingest-news-primary", "ingest-news-standby"]


def test_the_rules_that_the_readme_shows_are_those_of_the_example_channel():
    """They can be put into a policy file as they are."""
    [shown] = re.findall(r"^```yaml\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    [channel] = ChannelFile.read(Settings.model_fields["config"].default).channels
    assert parse(shown).services.keys() == {channel.ingest(feed) for feed in Feed}


def test_no_stream_key_is_shown():
    config = ChannelConfig(name="n", primary="rtmp://a/live/key1", standby="rtmp://b/live/key2")
    assert config.shown(Feed.PRIMARY) == "rtmp://a/live"
    assert config.without_keys("opening rtmp://b/live/key2: no") == "opening rtmp://b/live: no"

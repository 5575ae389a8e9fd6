"""The third story: an ingest keeps refusing, so its breaker spares it until it is well again."""

from datetime import timedelta

from examples.channels.settings import ChannelConfig, Feed
from examples.demo.claims import eventually, require
from examples.demo.stage import PERSON, Stage
from examples.demo.studio import SERVICE
from examples.demo.teller import Ending, Teller
from examples.demo.timeline import took
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import BreakerGuidance
from holdfast.domain.incident import Incident

# What is off the air, and what is on the air all the time and serves less meanwhile.
CHANNEL, WITNESS = "films", "sports"
INGEST = ChannelConfig.ingest_of(CHANNEL, Feed.PRIMARY)
SWITCHED_OFF = ["previews", "hd-transcode"]
# Some two seconds for it to move, some ten for the breaker; a busy machine may take its time.
MOVED_WITHIN = timedelta(seconds=30)
TURNED_WITHIN = timedelta(seconds=30)
# A small picture has at most so much of the bits of one in HD.
SMALL = 0.25


async def tell(stage: Stage, teller: Teller) -> Ending:
    """Have an ingest refuse until its breaker opens; bring it back, and see the way back."""
    teller.tell(
        f"The channel service asks a breaker in its own process before it starts an ffmpeg: "
        f"{INGEST} is the one in front of the primary ingest of {CHANNEL}."
    )
    rich = await stage.studio.bitrate(WITNESS, hd=True)
    broke = teller.act(f"the primary ingest of {CHANNEL} is killed: it refuses whoever comes")
    await stage.studio.take_away(CHANNEL, Feed.PRIMARY)

    incident = await stage.opened(f"RtmpConnectionLost:{CHANNEL}", since=broke)
    await _see_less_served(stage, teller, rich)
    opened = await _see_it_open(stage, teller)
    await _see_it_spared(stage, teller)
    with teller.waiting("the restart is verified"):
        ended, entries = await stage.recovered(incident.id, by="restart")
        await stage.aftermath(CHANNEL, since=broke)
    await _see_all_served(stage, teller, ended)
    await _bring_back(stage, teller)

    closed = await _turned(stage, BreakerStatus.CLOSED)
    teller.timeline(entries, breaker=await stage.holdfast.audit_of_breaker(INGEST, since=broke))
    return Ending(
        f"{CHANNEL}: its primary ingest kept refusing",
        "opened its breaker and served less; one probe found it well",
        f"breaker open after {took(broke, opened.since)}, closed after {took(broke, closed.since)}",
    )


async def _see_less_served(stage: Stage, teller: Teller, rich: int) -> None:
    """The incident degrades the service: all its channels send less."""
    with teller.waiting("the service is degraded"):
        poor = await stage.studio.bitrate(WITNESS, hd=False)
    off = await stage.holdfast.features_off(SERVICE)
    require("previews and HD are switched off", holds=off == SWITCHED_OFF, seen=off)
    require("a small picture has fewer bits", holds=poor < rich * SMALL, seen=(rich, poor))
    has_preview = await stage.studio.has_preview(WITNESS)
    require("there is no still picture", holds=not has_preview, seen=has_preview)
    teller.checked("degraded to level 2: hd-transcode and previews are off, for all channels")
    teller.checked(f"the ingest of {WITNESS} gets {poor} kbit/s instead of {rich}")


async def _see_it_open(stage: Stage, teller: Teller) -> BreakerGuidance:
    with teller.waiting("restarts are refused"):
        opened = await _turned(stage, BreakerStatus.OPEN)
        teller.checked(f"GET /api/system/circuit-breakers/{INGEST}: open, {opened.reason}")
        await eventually(
            f"{CHANNEL} moves to its standby",
            lambda: stage.studio.view(CHANNEL),
            holds=lambda view: view.feed is Feed.STANDBY,
            within=MOVED_WITHIN,
        )
    teller.checked("the next publish was rejected, so the service moved to the standby by itself")
    return opened


async def _see_it_spared(stage: Stage, teller: Teller) -> None:
    """While it is open, going back is refused without an ffmpeg, and the standby stays."""
    before = await stage.studio.view(CHANNEL)
    teller.act(f"{PERSON} asks for a restore, too early")
    status = await stage.person.recover("restore", service=SERVICE, channel=CHANNEL)
    after = await stage.studio.flowing(CHANNEL, Feed.STANDBY)
    require("the restore fails", holds=status == "failed", seen=status)
    started = after.starts - before.starts
    require("no ffmpeg is started for it", holds=started == 0, seen=(before, after))
    teller.checked("rejected in process: no ffmpeg was started, and the standby stays on the air")


async def _see_all_served(stage: Stage, teller: Teller, incident: Incident) -> None:
    """With the incident's end, what it switched off is on again."""
    with teller.waiting("the features come back"):
        rich = await stage.studio.bitrate(WITNESS, hd=True)
    off = await stage.holdfast.features_off(SERVICE)
    require("nothing is switched off", holds=not off, seen=off)
    held = [each for each in incident.attempts if each.step == "degrade"]
    require("the incident had degraded it", holds=len(held) == 1, seen=incident.attempts)
    teller.checked(f"resolved, nobody was paged; HD is back: {WITNESS} sends {rich} kbit/s")


async def _bring_back(stage: Stage, teller: Teller) -> None:
    """Half-open: the next publish is the probe, and with it the way back begins."""
    teller.act(f"the primary ingest of {CHANNEL} is started again")
    await stage.studio.bring_back(CHANNEL, Feed.PRIMARY)
    with teller.waiting("it is time to probe"):
        await _turned(stage, BreakerStatus.HALF_OPEN)
    teller.checked("the breaker is half-open: the next publish is to be its probe")
    teller.act(f"{PERSON} asks for a restore again")
    status = await stage.person.recover("restore", service=SERVICE, channel=CHANNEL)
    require("the restore succeeds", holds=status == "succeeded", seen=status)
    ramping = await _turned(stage, BreakerStatus.CLOSED)
    teller.checked(f"the probe passed: closed, and {ramping.share:.0%} of all publishes may pass")
    view = await stage.studio.flowing(CHANNEL, Feed.PRIMARY)
    teller.checked(f"{CHANNEL} is back on its primary ingest: {view.frames} frames")
    with teller.waiting("the ramp ends"):
        await eventually(
            f"all publishes to {INGEST} may pass",
            lambda: stage.holdfast.breaker(INGEST),
            holds=lambda breaker: breaker.share == 1,
            within=TURNED_WITHIN,
        )
    teller.checked("the ramp is over, all may pass: everything is as it was")


async def _turned(stage: Stage, status: BreakerStatus) -> BreakerGuidance:
    return await eventually(
        f"the breaker of {INGEST} is {status}",
        lambda: stage.holdfast.breaker(INGEST),
        holds=lambda breaker: breaker.status is status,
        within=TURNED_WITHIN,
        shown=lambda breaker: breaker.status,
    )

"""The first story: the process that publishes a channel is killed, and a restart brings it back."""

import os
import signal

from examples.channels.settings import Feed
from examples.demo.claims import require, require_order
from examples.demo.stage import Stage
from examples.demo.teller import Ending, Teller
from examples.demo.timeline import took
from holdfast.domain.audit import AuditEvent

CHANNEL = "news"


async def tell(stage: Stage, teller: Teller) -> Ending:
    """Kill the channel's ffmpeg; watch Holdfast classify, restart, verify, resolve."""
    before = await stage.studio.view(CHANNEL)
    require("ffmpeg publishes the channel", holds=before.pid is not None, seen=before)
    teller.tell(f"An ffmpeg publishes the channel {CHANNEL}, {before.frames} frames so far.")
    broke = teller.act(f"kill -9 {before.pid}, the ffmpeg of {CHANNEL}")
    os.kill(int(before.pid or 0), signal.SIGKILL)

    with teller.waiting("Holdfast is at work"):
        incident = await stage.opened(f"StreamProcessDied:{CHANNEL}", since=broke)
        kind = incident.category
        require("it is classified stream_failure", holds=kind == "stream_failure", seen=kind)
        teller.checked(f"classified: {kind}, severity {incident.severity} ({incident.reason})")
        after = await stage.studio.flowing(CHANNEL, Feed.PRIMARY)
        require("another ffmpeg publishes", holds=after.pid != before.pid, seen=after)
        teller.checked(f"ffmpeg is process {after.pid} now, and frames arrive: {after.frames}")
        ended, entries = await stage.recovered(incident.id, by="restart")
    require_order(
        entries,
        AuditEvent.INCIDENT_OPENED,
        AuditEvent.STEP_STARTED,
        AuditEvent.STEP_SUCCEEDED,
        AuditEvent.INCIDENT_RESOLVED,
    )
    teller.checked("no new report while it settled: resolved, and nobody was paged")
    teller.timeline(entries)
    return Ending(
        f"{CHANNEL}: its ffmpeg was killed",
        "restarted it, saw frames flow",
        f"resolved after {took(broke, ended.resolved_at)}",
    )

"""The second story: an ingest is gone, restarts don't help, and the standby takes over."""

from examples.channels.settings import Feed
from examples.demo.claims import require
from examples.demo.stage import Stage
from examples.demo.teller import Ending, Teller
from examples.demo.timeline import took
from holdfast.domain.attempt import AttemptStatus
from holdfast.domain.incident import Incident

CHANNEL = "news"


async def tell(stage: Stage, teller: Teller) -> Ending:
    """Take the primary ingest away; watch step after step fail until one helps."""
    teller.tell(f"{CHANNEL} publishes to its primary ingest over RTMP; a standby ingest waits.")
    broke = teller.act(f"the primary ingest of {CHANNEL} is killed, and stays away")
    await stage.studio.take_away(CHANNEL, Feed.PRIMARY)

    with teller.waiting("Holdfast is at work"):
        incident = await stage.opened(f"RtmpConnectionLost:{CHANNEL}", since=broke)
        kind = incident.category
        require("it is classified rtmp_connection", holds=kind == "rtmp_connection", seen=kind)
        teller.checked(f"classified: {kind}, severity {incident.severity} ({incident.reason})")
        after = await stage.studio.flowing(CHANNEL, Feed.STANDBY)
        teller.checked(f"frames arrive at the standby: {after.frames}")
        ended, entries = await stage.recovered(incident.id, by="fallback")
        _require_attempts(ended)
        teller.checked("retry failed, restart failed, fallback was verified: resolved, no page")
        if await stage.aftermath(CHANNEL, since=broke):
            teller.checked(
                "the restart's refused connection was a second incident: it closed itself"
            )
    teller.timeline(entries)
    return Ending(
        f"{CHANNEL}: its primary ingest went away",
        "retry and restart failed; moved it to the standby",
        f"resolved after {took(broke, ended.resolved_at)}",
    )


def _require_attempts(incident: Incident) -> None:
    """Each step had its turn, and the last one alone helped."""
    tried = [(each.action, each.status) for each in incident.attempts]
    failed, succeeded = AttemptStatus.FAILED, AttemptStatus.SUCCEEDED
    wanted = [("retry", failed), ("restart", failed), ("fallback", succeeded)]
    require("retry and restart fail, fallback helps", holds=tried == wanted, seen=tried)

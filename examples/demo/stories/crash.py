"""The fifth story: the worker is killed between two pages, and the escalation goes on."""

from datetime import datetime, timedelta

from examples.channels.settings import Feed
from examples.demo.claims import levels_paged, require
from examples.demo.stage import PERSON, Stage
from examples.demo.stories.escalation import until
from examples.demo.studio import SERVICE
from examples.demo.teller import Ending, Teller
from examples.demo.timeline import took
from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.incident import Incident

CHANNEL = "news"
MISSED_BY = timedelta(seconds=1)


async def tell(stage: Stage, teller: Teller) -> Ending:
    """Kill the worker after the first page, let the second come due, start the worker."""
    teller.tell(f"{CHANNEL} still publishes to its standby; its primary is away since story 2.")
    broke = teller.act(f"the standby ingest of {CHANNEL} is killed too")
    await stage.studio.take_away(CHANNEL, Feed.STANDBY)

    with teller.waiting("Holdfast tries what it can"):
        incident = await stage.opened(f"RtmpConnectionLost:{CHANNEL}", since=broke)
        await stage.paged(incident.id, 1)
        await stage.log(incident.id, until=AuditEvent.NOTIFICATION_SENT)
    teller.checked("nothing helped, level 1 is paged")
    restarted = await _kill_worker(stage, teller, incident)

    with teller.waiting("the worker comes up"):
        await stage.paged(incident.id, 1, 2)
    teller.checked("level 2 is paged; level 1 is not paged again")
    with teller.waiting("nobody answers level 2"):
        await stage.paged(incident.id, 1, 2, 3)
    teller.checked("level 3 is paged in its turn")
    await _repair(stage, teller, incident)

    entries = await stage.log(incident.id, until=AuditEvent.INCIDENT_RESOLVED)
    paged = levels_paged(entries)
    require("levels 1, 2, 3 are paged, once each, in order", holds=paged == [1, 2, 3], seen=paged)
    teller.timeline(entries)
    return Ending(
        "Holdfast: its worker was killed between two pages",
        "went on where it was: level 2, then level 3",
        f"level 2 paged {took(restarted, _paged_at(entries, level=2))} after its start",
    )


async def _kill_worker(stage: Stage, teller: Teller, incident: Incident) -> datetime:
    due = (await stage.holdfast.incident(incident.id)).escalation.next_level_at
    require("level 2 is still to come", holds=due is not None, seen=due)
    pid = stage.system.pid("worker")
    teller.act(f"kill -9 {pid}, Holdfast's worker, before level 2 is due")
    await stage.system.kill("worker")
    with teller.waiting("level 2 comes due, and nobody is there to page it"):
        await until(due, and_then=MISSED_BY)
    stage.require_paged(incident.id, 1)
    teller.checked(f"level 2 was due {MISSED_BY.total_seconds():g} s ago; nobody was there to page")
    restarted = teller.act("the worker is started again")
    await stage.system.start_part("worker")
    return restarted


async def _repair(stage: Stage, teller: Teller, incident: Incident) -> None:
    """Answer, and bring the channel home to its primary ingest."""
    teller.act(f"{PERSON} acknowledges, brings the ingests back, asks for a restore, and resolves")
    await stage.person.acknowledge(incident.id)
    for feed in Feed:
        await stage.studio.bring_back(CHANNEL, feed)
    status = await stage.person.recover("restore", service=SERVICE, channel=CHANNEL)
    require("the restore by hand succeeds", holds=status == "succeeded", seen=status)
    await stage.person.resolve(incident.id, note="both ingests had been switched off")
    view = await stage.studio.flowing(CHANNEL, Feed.PRIMARY)
    teller.checked(f"{CHANNEL} is back on its primary ingest: {view.frames} frames")
    for level in (1, 2, 3):
        await stage.shown(incident.id, level=level, words="Resolved")
    teller.checked("all three messages in Slack say that it is over")


def _paged_at(entries: list[AuditEntry], *, level: int) -> datetime:
    paged = (each for each in entries if each.event is AuditEvent.ESCALATION_LEVEL_PAGED)
    return next(each.at for each in paged if each.detail["level"] == level)

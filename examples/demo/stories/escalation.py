"""The third story: no recovery helps, so people are paged, level by level, until one answers."""

import asyncio
from datetime import UTC, datetime, timedelta

from examples.channels.settings import Feed
from examples.demo.claims import levels_paged, require, require_order
from examples.demo.stage import LEVELS, PERSON, Stage
from examples.demo.studio import SERVICE
from examples.demo.teller import Ending, Teller
from examples.demo.timeline import took
from holdfast.domain.audit import AuditEvent
from holdfast.domain.incident import Incident
from holdfast.domain.notification import NotificationKind

CHANNEL = "sports"
# So long after level 3 would have been due, its page would be here.
WELL_PAST = timedelta(seconds=1.5)


async def tell(stage: Stage, teller: Teller) -> Ending:
    """Break both ingests; answer the second page, and see that there is no third."""
    teller.tell(f"{CHANNEL} has two ingests as well. This time both go.")
    broke = teller.act(f"both ingests of {CHANNEL} are killed")
    for feed in (Feed.STANDBY, Feed.PRIMARY):
        await stage.studio.take_away(CHANNEL, feed)

    with teller.waiting("Holdfast tries what it can"):
        incident = await stage.opened(f"RtmpConnectionLost:{CHANNEL}", since=broke)
        await stage.log(incident.id, until=AuditEvent.RECOVERY_EXHAUSTED)
        teller.checked("retry, restart and fallback all failed: a person is needed")
        await stage.paged(incident.id, 1)
    with teller.waiting("nobody answers level 1"):
        await stage.paged(incident.id, 1, 2)
    teller.checked("level 1 was paged, nobody answered, level 2 was paged")
    taken = await _acknowledge(stage, teller, incident)
    await _repair(stage, teller, incident)

    entries = await stage.log(incident.id, until=AuditEvent.INCIDENT_RESOLVED)
    paged = levels_paged(entries)
    require(
        "levels 1 and 2 are paged, once each, and never level 3", holds=paged == [1, 2], seen=paged
    )
    require_order(
        entries,
        AuditEvent.RECOVERY_EXHAUSTED,
        AuditEvent.ESCALATION_LEVEL_PAGED,
        AuditEvent.ESCALATION_LEVEL_PAGED,
        AuditEvent.INCIDENT_ACKNOWLEDGED,
        AuditEvent.INCIDENT_RESOLVED,
    )
    teller.timeline(entries)
    first = next(each for each in entries if each.event is AuditEvent.ESCALATION_LEVEL_PAGED)
    return Ending(
        f"{CHANNEL}: both its ingests went away",
        "tried all steps; paged level 1, then level 2, not level 3",
        f"first page after {took(broke, first.at)}, acknowledged after "
        f"{took(broke, taken.acknowledged_at)}",
    )


async def _acknowledge(stage: Stage, teller: Teller, incident: Incident) -> Incident:
    """Answer the page, and wait until level 3 would long have been paged."""
    due = (await stage.holdfast.incident(incident.id)).escalation.next_level_at
    teller.act(f"{PERSON} acknowledges: POST /api/system/errors/{{id}}/acknowledge")
    taken = await stage.person.acknowledge(incident.id)
    whose = taken.acknowledged_by
    require(f"the incident is {PERSON}'s", holds=whose == PERSON, seen=whose)
    require("level 3 was still to come", holds=due is not None, seen=due)
    with teller.waiting("level 3 would be due"):
        await until(due, and_then=WELL_PAST)
    stage.require_paged(incident.id, 1, 2)
    told = stage.received(incident.id, NotificationKind.ACKNOWLEDGED)
    require("who was paged is told who has it", holds=set(told) == set(LEVELS[:2]), seen=told)
    teller.checked(f"level 3 was due {WELL_PAST.total_seconds():g} s ago and is not paged")
    return taken


async def _repair(stage: Stage, teller: Teller, incident: Incident) -> None:
    """Do what a person would: repair, ask Holdfast for a restart, close the incident."""
    teller.act(f"{PERSON} brings the ingests back, asks Holdfast for a restart, and resolves")
    for feed in Feed:
        await stage.studio.bring_back(CHANNEL, feed)
    status = await stage.person.recover("restart", service=SERVICE, channel=CHANNEL)
    require("the restart by hand succeeds", holds=status == "succeeded", seen=status)
    await stage.person.resolve(incident.id, note="both ingests had been switched off")
    view = await stage.studio.flowing(CHANNEL, Feed.PRIMARY)
    teller.checked(f"{CHANNEL} is on the air again: {view.frames} frames")


async def until(due: datetime | None, *, and_then: timedelta) -> None:
    """Wait for a moment of the escalation's own, and a little longer."""
    if due:
        await asyncio.sleep((due + and_then - datetime.now(UTC)).total_seconds())

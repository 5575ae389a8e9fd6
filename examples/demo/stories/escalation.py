"""The fourth story: no recovery helps, so people are paged in Slack, until one of them clicks."""

import asyncio
from datetime import UTC, datetime, timedelta

from examples.channels.settings import Feed
from examples.demo.claims import eventually, levels_paged, require, require_order
from examples.demo.stage import SHOWN_WITHIN, Stage
from examples.demo.studio import SERVICE
from examples.demo.teller import Ending, Teller
from examples.demo.timeline import took
from examples.stand_ins.slack import Message
from holdfast.domain.audit import AuditEvent
from holdfast.domain.incident import Incident

CHANNEL = "sports"
# The policy file's people behind the members of the workspace, and one whom it does not know.
GRACE, LINUS, NEWCOMER = "U0GRACE", "U0LINUS", "U0NEWCOMER"
GRACES_NAME = "Grace Hopper"
ACKNOWLEDGE, RESOLVE = "holdfast.acknowledge", "holdfast.resolve"
# So long after level 3 would have been due, its page would be here.
WELL_PAST = timedelta(seconds=1.5)


async def tell(stage: Stage, teller: Teller) -> Ending:
    """Break both ingests; answer the second page in Slack, and see that there is no third."""
    teller.tell(f"{CHANNEL} has two ingests as well. This time both go.")
    broke = teller.act(f"both ingests of {CHANNEL} are killed")
    for feed in (Feed.STANDBY, Feed.PRIMARY):
        await stage.studio.take_away(CHANNEL, feed)

    incident = await _page(stage, teller, since=broke)
    due = (await stage.holdfast.incident(incident.id)).escalation.next_level_at
    require("level 3 is still to come", holds=due is not None, seen=due)
    page = stage.page(incident.id, level=2)
    taken = await _acknowledge(stage, teller, page, incident)
    await _turn_others_away(stage, teller, page, incident)
    await _see_it_taken(stage, teller, incident)
    with teller.waiting("level 3 would be due"):
        await until(due, and_then=WELL_PAST)
    stage.require_paged(incident.id, 1, 2)
    teller.checked("the time of level 3 has passed, and it is not paged")
    await _repair(stage, teller, incident)
    first_page = await _check_log(stage, teller, incident)
    return Ending(
        f"{CHANNEL}: both its ingests went away",
        "tried all steps; paged level 1, then level 2; a click in Slack stopped it",
        f"first page after {took(broke, first_page)}, acknowledged after "
        f"{took(broke, taken.acknowledged_at)}",
    )


async def _page(stage: Stage, teller: Teller, *, since: datetime) -> Incident:
    """See recovery fail and two levels paged, each in a message with buttons."""
    with teller.waiting("Holdfast tries what it can"):
        incident = await stage.opened(f"RtmpConnectionLost:{CHANNEL}", since=since)
        await stage.log(incident.id, until=AuditEvent.RECOVERY_EXHAUSTED)
        teller.checked("retry, restart and fallback all failed: a person is needed")
        await stage.paged(incident.id, 1)
    _require_clickable(stage.page(incident.id, level=1), ACKNOWLEDGE, RESOLVE)
    teller.checked("Ada is on call: she is paged in Slack, in a message with buttons")
    with teller.waiting("nobody answers level 1"):
        await stage.paged(incident.id, 1, 2)
    teller.checked("Ada did not answer: level 2, the leads' channel, was paged")
    return incident


async def _acknowledge(stage: Stage, teller: Teller, page: Message, incident: Incident) -> Incident:
    """A lead takes it with a click."""
    teller.act(f"{GRACES_NAME} clicks Acknowledge in the leads' channel")
    await stage.members.click(page, ACKNOWLEDGE, user=GRACE)
    taken = await eventually(
        f"the incident is {GRACES_NAME}'s",
        lambda: stage.holdfast.incident(incident.id),
        holds=lambda seen: seen.acknowledged_by == GRACES_NAME,
        within=SHOWN_WITHIN,
        shown=lambda seen: seen.acknowledged_by,
    )
    teller.checked("GET /api/system/errors/{id}: it is hers")
    return taken


async def _turn_others_away(
    stage: Stage, teller: Teller, page: Message, incident: Incident
) -> None:
    """Who clicks after her is told so, and so is somebody whom the policy file does not know.

    Their screens show the page as it was posted.
    """
    teller.act("Linus clicks Acknowledge too, a moment too late")
    await stage.members.click(page, ACKNOWLEDGE, user=LINUS)
    await _whispered(stage, LINUS, GRACES_NAME)
    teller.checked("he alone is told who has it")
    teller.act("somebody clicks Resolve whom the policy file does not know")
    await stage.members.click(page, RESOLVE, user=NEWCOMER)
    await _whispered(stage, NEWCOMER, NEWCOMER)
    seen = await stage.holdfast.incident(incident.id)
    require("it is not resolved by that", holds=not seen.is_resolved, seen=seen.status)
    teller.checked("they alone are told how to link their account; nothing else happens")


async def _whispered(stage: Stage, user: str, word: str) -> None:
    async def look() -> list[str]:
        return [each.text for each in stage.slack.whispers if each.user == user]

    await eventually(
        f"Slack tells {user} alone, and names {word}",
        look,
        holds=lambda told: any(word in each for each in told),
        within=SHOWN_WITHIN,
    )


async def _see_it_taken(stage: Stage, teller: Teller, incident: Incident) -> None:
    """Both messages were edited in place, and their threads have the timeline."""
    with teller.waiting("the messages are edited"):
        for level in (1, 2):
            words = f"Acknowledged by {GRACES_NAME}"
            page = await stage.shown(incident.id, level=level, words=words)
            _require_clickable(page, RESOLVE)
            again = ACKNOWLEDGE in page.offers
            require("there is nothing left to acknowledge", holds=not again, seen=page.offers)
            await _threaded(stage, page, GRACES_NAME)
    teller.checked("both messages say in place that Grace has it; their threads tell the rest")


async def _threaded(stage: Stage, page: Message, word: str) -> None:
    async def look() -> str:
        return "\n".join(each.words for each in stage.slack.thread(page))

    await eventually(
        f"the thread of {page.sent_to} names {word}",
        look,
        holds=lambda told: word in told,
        within=SHOWN_WITHIN,
    )


async def _repair(stage: Stage, teller: Teller, incident: Incident) -> None:
    """Do what a person would: repair, ask Holdfast for a restart, close the incident."""
    teller.act(f"{GRACES_NAME} brings the ingests back, and asks Holdfast for a restart")
    for feed in Feed:
        await stage.studio.bring_back(CHANNEL, feed)
    status = await stage.person.recover("restart", service=SERVICE, channel=CHANNEL)
    require("the restart by hand succeeds", holds=status == "succeeded", seen=status)
    view = await stage.studio.flowing(CHANNEL, Feed.PRIMARY)
    teller.checked(f"{CHANNEL} is on the air again: {view.frames} frames")
    teller.act(f"{GRACES_NAME} clicks Resolve")
    await stage.members.click(stage.page(incident.id, level=2), RESOLVE, user=GRACE)
    with teller.waiting("the messages are edited"):
        for level in (1, 2):
            page = await stage.shown(incident.id, level=level, words="Resolved")
            require("no button is left", holds=not page.offers, seen=page.offers)
    teller.checked("both messages say that it is over, and have no buttons any more")


async def _check_log(stage: Stage, teller: Teller, incident: Incident) -> datetime:
    """See that the audit log has it as it was told; when the first page went out."""
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
    return next(each.at for each in entries if each.event is AuditEvent.ESCALATION_LEVEL_PAGED)


def _require_clickable(page: Message, *actions: str) -> None:
    missing = [each for each in actions if each not in page.offers]
    require(f"{page.sent_to} can click {', '.join(actions)}", holds=not missing, seen=page.offers)


async def until(due: datetime | None, *, and_then: timedelta) -> None:
    """Wait for a moment of the escalation's own, and a little longer."""
    if due:
        await asyncio.sleep((due + and_then - datetime.now(UTC)).total_seconds())

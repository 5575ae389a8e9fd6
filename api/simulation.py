"""Owns the simulation: who would be paged when, if a report came and nobody answered.

It climbs the same ladder with the same look-ups as an incident, only with the times that the ladder
asks for in the place of the clock, and sends nothing.
"""

from datetime import datetime, timedelta
from typing import Final

from pydantic import AwareDatetime

from activities.page_holds import PageHolds
from activities.roster import Roster
from holdfast.domain.classification import Classification
from holdfast.domain.escalation import Circumstances, EscalationChoice
from holdfast.domain.ladder import Ladder
from holdfast.domain.model import Model
from holdfast.domain.page import (
    HoldKind,
    Page,
    PageHold,
    PageRequest,
    PageSubject,
    Recipient,
)
from holdfast.domain.person import Contact
from holdfast.domain.policy import Plan, Policy
from holdfast.domain.report import Report
from holdfast.domain.severity import Severity

# A ladder of twenty levels that repeats a hundred times is not worth reading to its end.
_MOST_STEPS: Final = 200


class WouldTell(Model):
    """A contact on the way to somebody.

    Attributes:
        at: When it would be tried, were those before it silent.
    """

    at: AwareDatetime
    contact: Contact


class WouldReach(Model):
    """Somebody who would be told.

    Attributes:
        who: The person, or the address.
        problem: Why there would be nobody.
    """

    who: str
    mandatory: bool
    contacts: tuple[WouldTell, ...] = ()
    problem: str = ""


class SimulatedStep(Model):
    """What would happen at a time.

    Attributes:
        what: As a sentence.
        hold: What would keep the page back.
    """

    at: AwareDatetime
    what: str
    level: int | None = None
    round: int | None = None
    hold: PageHold | None = None
    told: tuple[WouldReach, ...] = ()


class Simulation(Model):
    """Who would be paged when.

    Attributes:
        severity: After the escalation rules.
        raised_by: Which of them raised it.
        policy: None when nobody would be paged.
        steps: In their order, if recovery doesn't help and nobody acknowledges.
        cut: Whether there would be more steps.
    """

    classification: Classification
    severity: Severity
    raised_by: str | None
    policy: str | None
    reason: str
    steps: tuple[SimulatedStep, ...]
    cut: bool = False


class Simulator:
    """Climbs ladders without sending anything.

    Args:
        policy: The policy that it follows.
        roster: Who is on call by that policy.
        holds: What keeps pages back.
    """

    def __init__(self, policy: Policy, *, roster: Roster, holds: PageHolds) -> None:
        self._policy = policy
        self._roster = roster
        self._holds = holds

    async def run(
        self, report: Report, *, at: datetime, occurrences: int, incidents: int
    ) -> Simulation:
        """Say who would be paged when.

        Args:
            report: The hypothetical report.
            at: When it comes.
            occurrences: How often it is reported at once.
            incidents: How many incidents its service has had lately, this one included.
        """
        plan = self._policy.plan(report, at=at)
        known = _circumstances(report, plan, at=at, occurrences=occurrences, incidents=incidents)
        severity, raised_by = plan.book.severity(at, known)
        choice = plan.book.choice(at, known.model_copy(update={"severity": severity}))
        steps: list[SimulatedStep] = []
        if choice and not plan.is_ignored:
            subject = _subject(report, plan, severity)
            steps = await self._climb(choice, plan, subject, at=at)
        return Simulation(
            classification=plan.classification,
            severity=severity,
            raised_by=raised_by,
            policy=choice.name if choice and not plan.is_ignored else None,
            reason=_reason(plan, choice),
            steps=tuple(steps[:_MOST_STEPS]),
            cut=len(steps) > _MOST_STEPS,
        )

    async def _climb(
        self, choice: EscalationChoice, plan: Plan, subject: PageSubject, *, at: datetime
    ) -> list[SimulatedStep]:
        steps = []
        ladder = Ladder.starting(choice, now=at, hold=_chance(choice, at))
        if ladder.hold:
            steps.append(SimulatedStep(at=at, what="recovery has its chance", hold=ladder.hold))
        while len(steps) <= _MOST_STEPS and (now := ladder.wakes_at):
            page = ladder.due(now)
            if page is None:
                break
            request = PageRequest(
                at=now,
                subject=subject,
                page=page,
                policy=choice.name,
                hours=plan.book.hours.get(choice.policy.only_during or ""),
                depends_on=plan.service.depends_on,
                # What another incident holds back now is no matter once it is looked again.
                not_behind=(ladder.hold.by,) if ladder.hold and ladder.hold.by else (),
            )
            if hold := await self._holds.hold(request):
                what = f"level {page.level} is held: {hold.reason}"
                steps.append(SimulatedStep(at=now, what=what, level=page.level, hold=hold))
                ladder = ladder.held(hold)
                continue
            ladder = ladder.taken(page, now=now)
            step, ladder = await self._page(page, ladder, now=now)
            steps.append(step)
        return steps

    async def _page(
        self, page: Page, ladder: Ladder, *, now: datetime
    ) -> tuple[SimulatedStep, Ladder]:
        told = []
        for place, target in enumerate(page.targets):
            recipient, _ = await self._roster.recipient(target, at=now)
            told.append(_would_reach(recipient, now))
            if not recipient.hops:
                ladder = ladder.failed(place, recipient.problem, page=page, now=now)
        what = f"level {page.level} of '{ladder.choice.name}' is paged"
        if page.unreached:
            what = f"{what}, and told: {'; '.join(page.unreached)}"
        step = SimulatedStep(
            at=now, what=what, level=page.level, round=page.round, told=tuple(told)
        )
        return step, ladder


def _reason(plan: Plan, choice: EscalationChoice | None) -> str:
    if plan.is_ignored:
        return f"the strategy of {plan.classification.category} ignores it: it is only counted"
    return choice.reason if choice else "no escalation policy fits: nobody is paged"


def _would_reach(recipient: Recipient, now: datetime) -> WouldReach:
    contacts, at = [], now
    for hop in recipient.hops:
        contacts.append(WouldTell(at=at, contact=hop.contact))
        at += hop.deadline
    return WouldReach(
        who=recipient.who,
        mandatory=recipient.target.mandatory,
        contacts=tuple(contacts),
        problem=recipient.problem,
    )


def _subject(report: Report, plan: Plan, severity: Severity) -> PageSubject:
    return PageSubject(
        incident_id="simulation",
        workflow_id="simulation",
        service=report.service,
        category=plan.classification.category,
        severity=severity,
        labels=report.labels,
        title=report.error_type,
    )


def _circumstances(
    report: Report, plan: Plan, *, at: datetime, occurrences: int, incidents: int
) -> Circumstances:
    tallies = (tally.counted(occurrences, at=at) for tally in plan.book.tallies())
    return Circumstances(
        service=report.service,
        category=plan.classification.category,
        severity=plan.classification.severity,
        occurrences=tuple(tallies),
        incidents=dict.fromkeys(plan.book.incident_spans(), incidents),
    )


def _chance(choice: EscalationChoice, at: datetime) -> PageHold | None:
    if choice.hold_page_for <= timedelta():
        return None
    until = at + choice.hold_page_for
    reason = "unless recovery helps before, or has nothing left to try"
    return PageHold(kind=HoldKind.RECOVERY, until=until, reason=reason)

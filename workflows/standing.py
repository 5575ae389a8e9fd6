"""Owns where an incident's escalation stands: its ladder, moved by rules, people and failures.

Whatever moves the ladder goes through here, and shows on the incident at once.
"""

from temporalio import workflow

from holdfast.domain.audit import AuditEvent
from holdfast.domain.custody import Choice
from holdfast.domain.escalation import EscalationChoice, is_louder
from holdfast.domain.frequency import Tally
from holdfast.domain.ladder import Ladder
from holdfast.domain.page import HoldKind, Page, PageHold
from holdfast.domain.target import Target
from holdfast.errors import Conflict
from workflows.case import Case
from workflows.rules import Rules


class Standing:
    """An incident's ladder and rules.

    Args:
        case: The incident.
        ladder: Where the run before left its escalation.
        tallies: What the run before counted of its reports.
    """

    def __init__(
        self, case: Case, *, ladder: Ladder | None, tallies: tuple[Tally, ...] | None
    ) -> None:
        self.ladder = ladder
        self.rules = Rules(case, tallies)
        self._case = case

    @property
    def signature(self) -> object:
        """Differs whenever what is due may have changed."""
        incident = self._case.incident
        return (self.ladder, incident.status, incident.custody, incident.escalation.shift_ends_at)

    def put(self, ladder: Ladder) -> None:
        """Move the ladder, and have the incident show it."""
        self.ladder = ladder
        self._show()

    @property
    def recovery_gave_up(self) -> bool:
        """Whether the first page waits for a recovery that has nothing left to try."""
        hold = self.ladder.hold if self.ladder else None
        return self._case.recovery_over and hold is not None and hold.kind is HoldKind.RECOVERY

    def end_recoverys_chance(self) -> None:
        """Page at once, or nobody at all if the strategy wants that."""
        if self.ladder:
            self.ladder = None if self._case.ignored else self.ladder.released(HoldKind.RECOVERY)
            self._show()

    def reconsider(self) -> None:
        """Ask the escalation rules again; what they say only ever becomes louder."""
        case = self._case
        if case.pages_nobody or case.incident.is_resolved:
            return
        self.rules.raise_severity()
        choice = self.rules.choice()
        if choice is None:
            return
        if self.ladder is None:
            self._follow(choice)
        elif is_louder(choice, self.ladder.choice):
            self._switch(choice)

    def _follow(self, choice: EscalationChoice) -> None:
        self.ladder = Ladder.starting(choice, now=workflow.now(), hold=self._chance(choice))
        self._chosen(choice)
        if self.ladder.hold:
            self._case.note(AuditEvent.ESCALATION_HELD, self.ladder.hold.reason)

    def _switch(self, choice: EscalationChoice) -> None:
        if self.ladder:
            hold = None if self.ladder.last else self._chance(choice)
            self.ladder = self.ladder.switched(choice, now=workflow.now(), hold=hold)
            self._chosen(choice)
            self._case.note(
                AuditEvent.ESCALATION_SWITCHED,
                f"escalation goes on with '{choice.name}': {choice.reason}",
                detail={"policy": choice.name},
            )

    def _chance(self, choice: EscalationChoice) -> PageHold | None:
        """How long recovery still has before the first page."""
        until_ = self._case.incident.opened_at + choice.hold_page_for
        if self._case.recovery_over or until_ <= workflow.now():
            return None
        reason = f"the first page is held until {until_:%H:%M:%S} UTC to give recovery its chance"
        return PageHold(kind=HoldKind.RECOVERY, until=until_, reason=reason)

    def _chosen(self, choice: EscalationChoice) -> None:
        incident = self._case.incident
        chosen = Choice(
            at=workflow.now(),
            policy=choice.name,
            severity=incident.severity.value,
            reason=choice.reason,
        )
        choices = (*incident.escalation.choices, chosen)
        escalation = incident.escalation.model_copy(update={"choices": choices})
        self._case.incident = incident.model_copy(update={"escalation": escalation})
        self._show()

    def _show(self) -> None:
        """Have the incident say where its escalation stands."""
        incident = self._case.incident
        if self.ladder and self._case.is_held_by_nobody:
            seen = self.ladder.seen(incident.escalation)
            self._case.incident = incident.model_copy(update={"escalation": seen})

    def recheck(self) -> None:
        """Look again at once whether the page that is held may go."""
        if self.ladder:
            self.ladder = self.ladder.released(HoldKind.SILENCE, HoldKind.DEPENDENCY)
            self._show()

    def failed(self, page: Page, place: int, problem: str) -> None:
        """Take that nothing reaches one of a page's targets."""
        if self.ladder:
            self.put(self.ladder.failed(place, problem, page=page, now=workflow.now()))

    def resume(self) -> None:
        """Page the last level again: nobody has the incident any more."""
        if self.ladder:
            self.ladder = self.ladder.resumed()
        self._show()

    def relieve(self) -> None:
        """Page whoever is on call now, in the place of whose shift is over."""
        incident = self._case.incident
        escalation = incident.escalation.model_copy(update={"shift_ends_at": None})
        self._case.incident = incident.model_copy(update={"escalation": escalation})
        if self.ladder:
            self.ladder = self.ladder.relieved()

    def hand_over(self, to: Target) -> None:
        """Page somebody in particular before the next level's turn."""
        if self.ladder is None:
            self.ladder = Ladder.by_hand(to, now=workflow.now())
        else:
            self.ladder = self.ladder.reassigned(to)
        self._show()

    def hurry(self) -> None:
        """Page the next level now.

        Raises:
            Conflict: If there is none.
        """
        self.ladder = self.check_hurry()
        self._show()

    def check_hurry(self) -> Ladder:
        """The ladder with its next level's turn now; raises as ``hurry``."""
        if self.ladder is None:
            raise Conflict("no escalation policy fits this incident: there is nobody to page")
        return self.ladder.expedited(now=workflow.now())

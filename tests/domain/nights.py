"""An incident's night as its pager lives it, without Temporal: for tests of what is due when."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from holdfast.domain.classification import Classification
from holdfast.domain.custody import Actor
from holdfast.domain.duty import Duty, DutyKind, duty, wakes_at
from holdfast.domain.escalation import EscalationChoice, EscalationLevel, EscalationPolicy
from holdfast.domain.incident import Incident
from holdfast.domain.ladder import Ladder
from holdfast.domain.page import HoldKind, Page, PageHold
from holdfast.domain.policy import Plan
from holdfast.domain.report import Report, ReportBatch
from holdfast.domain.strategy import STRATEGIES
from holdfast.domain.target import Target

EVENING = datetime(2026, 3, 1, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADA = Actor(name="Ada Lovelace", person="ada")
BOB = Actor(name="Bob", person="bob")


def person(name: str, **fields) -> Target:
    return Target(person=name, **fields)


def policy(*levels: tuple[Target, ...], wait: timedelta = 5 * MINUTE, **fields) -> EscalationPolicy:
    """A policy whose levels all wait as long; Ada and then Bob when none are given."""
    given = levels or ((person("ada"),), (person("bob"),))
    return EscalationPolicy(
        levels=tuple(EscalationLevel(targets=each, escalate_after=wait) for each in given), **fields
    )


def chosen(given: EscalationPolicy | None = None, **fields) -> EscalationChoice:
    """The choice of a policy, by no rule in particular."""
    given = given or policy()
    known = {"name": "default", "hold_page_for": timedelta(0), "reason": "so"}
    return EscalationChoice(policy=given, **(known | fields))


def report(message: str = "it failed", **fields) -> Report:
    return Report(service="channels", error_type="Oops", message=message, **fields)


def batch(batch_id: str = "b1", *, count: int = 1, first=EVENING, last=EVENING, **fields):
    return ReportBatch(
        id=batch_id,
        fingerprint="f",
        sample=report(**fields),
        count=count,
        first_at=first,
        last_at=last,
    )


def plan(choice: EscalationChoice | None = None, *, known: bool = True) -> Plan:
    return Plan(
        known_service=known,
        classification=Classification(category="timeout", severity="high", reason="a rule"),
        strategy=STRATEGIES["timeout"],
        escalation=choice,
        resolve_after_quiet="4h",
    )


def opened(opening: ReportBatch | None = None, choice: EscalationChoice | None = None) -> Incident:
    return Incident.opened(opening or batch(), plan(choice or chosen()), at=EVENING)


@dataclass
class Night:
    """One incident, its ladder and a clock; whatever is due is done as the pager does it.

    Attributes:
        hold: What holds pages in the world; one that a person asked for goes all the same.
        nobody: The targets behind which there is nobody.
        shift_ends_at: When somebody else will be on call for whomever a page reaches.
        sent: Every page that went out, with its time.
        done: Everything that was due, in its order.
        on_page: Called with each page before it goes out; ``on_failed`` after each target that
            could not be reached, with its page, its place and why.
    """

    choice: EscalationChoice | None
    now: datetime = EVENING
    hold: PageHold | None = None
    nobody: set[str] = field(default_factory=set)
    shift_ends_at: datetime | None = None
    sent: list[tuple[Page, datetime]] = field(default_factory=list)
    done: list[Duty] = field(default_factory=list)
    on_page: Callable[[Page], None] = lambda page: None
    on_failed: Callable[[Page, int, str], None] = lambda page, place, problem: None

    def __post_init__(self) -> None:
        self.incident = Incident.opened(batch(), plan(self.choice), at=self.now)
        self.ladder = None
        if self.choice:
            self.ladder = Ladder.starting(self.choice, now=self.now, hold=self._chance())
            self.show()

    def _chance(self) -> PageHold | None:
        until = EVENING + self.choice.hold_page_for
        if until <= self.now:
            return None
        return PageHold(kind=HoldKind.RECOVERY, until=until, reason="recovery has its chance")

    @property
    def pages(self) -> list[str]:
        """Whom the pages that went out were for."""
        return ["+".join(str(each) for each in page.targets) for page, _ in self.sent]

    @property
    def nobody_has_it(self) -> bool:
        incident = self.incident
        return not (incident.is_acknowledged or incident.is_snoozed or incident.is_resolved)

    def show(self) -> None:
        if self.ladder and self.nobody_has_it:
            seen = self.ladder.seen(self.incident.escalation)
            self.incident = self.incident.model_copy(update={"escalation": seen})

    def passes(self, duration: timedelta) -> "Night":
        """Time passes, and nobody looks: as long as a worker is down."""
        self.now += duration
        return self

    def works(self) -> "Night":
        """Everything that is due by now is done."""
        for _ in range(100):
            due = duty(self.incident, self.ladder, now=self.now)
            if due is None:
                return self
            self.done.append(due)
            self._do(due)
        raise AssertionError("it runs in circles")

    def until(self, at: datetime) -> "Night":
        """A punctual night: whatever falls due on the way is done in its time."""
        self.works()
        while (wakes := wakes_at(self.incident, self.ladder)) and wakes <= at:
            self.now = wakes
            self.works()
        self.now = at
        return self

    def _do(self, due: Duty) -> None:
        match due.kind:
            case DutyKind.PAGE:
                self._page(due.page)
            case DutyKind.REMIND:
                custody = self.incident.custody.model_copy(update={"remind_at": None})
                self.incident = self.incident.model_copy(update={"custody": custody})
            case DutyKind.TAKE_BACK | DutyKind.WAKE_UP:
                self.give_back()
            case DutyKind.RELIEVE:
                gone = {"shift_ends_at": None}
                escalation = self.incident.escalation.model_copy(update=gone)
                self.incident = self.incident.model_copy(update={"escalation": escalation})
                self.ladder = self.ladder.relieved()

    def _page(self, page: Page) -> None:
        if self.hold and self.now < self.hold.until and not page.cause.asked_for:
            self.ladder = self.ladder.held(self.hold)
            self.show()
            return
        self.on_page(page)
        self.sent.append((page, self.now))
        self.ladder = self.ladder.taken(page, now=self.now)
        escalation = self.ladder.seen(self.incident.escalation)
        coming = self.shift_ends_at and self.shift_ends_at > self.now
        ends = {"shift_ends_at": self.shift_ends_at if coming else None}
        self.incident = self.incident.escalated(escalation.model_copy(update=ends))
        for place, target in enumerate(page.targets):
            if str(target) in self.nobody:
                self.fails(page, place, f"there is nobody behind {target} ({page.number})")

    def fails(self, page: Page, place: int, problem: str) -> None:
        self.ladder = self.ladder.failed(place, problem, page=page, now=self.now)
        self.show()
        self.on_failed(page, place, problem)

    def give_back(self) -> None:
        self.incident = self.incident.unacknowledged()
        if self.ladder:
            self.ladder = self.ladder.resumed()
        self.show()

    def acknowledge(self, by: Actor = ADA) -> None:
        timeout, remind_before = timedelta(0), timedelta(0)
        if self.ladder:
            timeout = self.ladder.policy.acknowledgement_timeout
            remind_before = self.ladder.policy.remind_before
        self.incident = self.incident.acknowledged(
            by, at=self.now, timeout=timeout, remind_before=remind_before
        )

    def reassign(self, to: Target) -> None:
        self.incident = self.incident.reassigned(str(to))
        if self.ladder is None:
            self.ladder = Ladder.by_hand(to, now=self.now)
        else:
            self.ladder = self.ladder.reassigned(to)
        self.show()

    def hurry(self) -> None:
        ladder = self.ladder.expedited(now=self.now)
        if self.incident.is_acknowledged or self.incident.is_snoozed:
            self.incident = self.incident.unacknowledged()
        self.ladder = ladder
        self.show()

    def switch(self, choice: EscalationChoice) -> None:
        self.choice = choice
        hold = None if self.ladder.last else self._chance()
        self.ladder = self.ladder.switched(choice, now=self.now, hold=hold)
        self.show()

    def release(self, *kinds: HoldKind) -> None:
        self.hold = None
        self.ladder = self.ladder.released(*kinds)
        self.show()

    def restart(self) -> None:
        """A new run of the workflow: all that it knows goes through JSON."""
        self.incident = Incident.model_validate_json(self.incident.model_dump_json())
        if self.ladder:
            self.ladder = Ladder.model_validate_json(self.ladder.model_dump_json())

"""Owns what keeps a storm from people: limits on each contact, and pages bundled into one.

Whether a page goes out now is decided from the pages that its contact got lately. The numbers for
text messages are GoAlert's (github.com/target/goalert), which has paged people with them for years.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from holdfast.domain.model import Duration, Model
from holdfast.domain.person import Contact
from holdfast.domain.severity import Severity


class Limit(Model):
    """No more than so many messages to one contact within a span."""

    messages: int = Field(ge=1, le=10_000)
    within: Duration = Field(gt=timedelta(0), le=timedelta(days=1))


TEXT_MESSAGE_LIMITS = (
    Limit(messages=5, within=timedelta(minutes=15)),
    Limit(messages=11, within=timedelta(hours=1)),
    Limit(messages=21, within=timedelta(hours=3)),
)
# The same page to the same contact: never again within so long.
SAME_PAGE_AGAIN = timedelta(minutes=1)
# So long a message has that takes others along: as long as a channel is tried unless it says
# otherwise. Then whoever waits stops trusting it.
LEASE = timedelta(minutes=1)
# A message that speaks for others is mostly out within seconds; then they need not look as if
# nobody had told them.
LOOK_AGAIN = timedelta(seconds=5)
# Taken along so often by messages that never arrived, a page waits for no bundle any more: a
# channel that does not work must not keep one incident after the other from its next contact.
MOST_CLAIMS = 2
# What a message lists, its workflow keeps; a storm must not outgrow what Temporal takes.
MOST_BUNDLED = 200


class BundleBy(StrEnum):
    """Which incidents' pages go into one message."""

    SERVICE = "service"
    POLICY = "policy"


class Bundling(Model):
    """After a page of a service (or policy), its further incidents wait and come as one message.

    Attributes:
        within: How long they wait after the last message; nothing sends each at once.
    """

    by: BundleBy = BundleBy.SERVICE
    within: Duration = timedelta(minutes=2)


class PageAsked(Model):
    """A page that wants to go to a contact.

    Attributes:
        notification_id: Names it; asking again is asking once.
        group: What it is bundled by: the service or the policy.
    """

    notification_id: str
    contact: Contact
    incident_id: str
    workflow_id: str
    service: str
    severity: Severity
    title: str
    group: str
    limits: tuple[Limit, ...] = ()
    bundle_within: timedelta = timedelta(0)

    @property
    def looks_back(self) -> timedelta:
        """How old a page may be and still hold this one."""
        return max(self.bundle_within, SAME_PAGE_AGAIN, _longest(self.limits))


class LedgerPage(Model):
    """A page that a contact got lately, or that is on its way there.

    Attributes:
        at: When it was let through.
        told_by: The message of another page that told it; None for one that went itself.
    """

    notification_id: str
    incident_id: str
    service: str
    group: str
    at: AwareDatetime
    told_by: str | None = None


class AdmissionKind(StrEnum):
    """What becomes of a page that wants to go to a contact."""

    SEND = "send"
    WAIT = "wait"
    COVERED = "covered"


class BundledIncident(Model):
    """An incident whose page travels in another's message."""

    incident_id: str
    service: str
    severity: Severity
    title: str


class WaitingPage(Model):
    """A page that waits to go to a contact.

    Attributes:
        claimed_by: The message that took it along last, whatever became of that.
        claimed_until: So long that message has.
        claims: How many took it along.
    """

    notification_id: str
    incident: BundledIncident
    claimed_by: str | None = None
    claimed_until: AwareDatetime | None = None
    claims: int = 0

    def is_claimed(self, now: datetime) -> bool:
        """Whether a message is on its way that will tell it."""
        return self.claimed_until is not None and now < self.claimed_until


class Admission(Model):
    """The answer to a page that wants to go to a contact.

    Attributes:
        until: For one that waits: when to ask again.
        reason: Why, as a sentence; empty for one that simply goes.
        bundled: For one that goes: the incidents that it speaks for too.
        covered_by: For one that another message told: that message.
    """

    kind: AdmissionKind = AdmissionKind.SEND
    until: AwareDatetime | None = None
    reason: str = ""
    bundled: tuple[BundledIncident, ...] = ()
    covered_by: str | None = None


class Departure(Model):
    """A page that goes, and what it makes of those that wait.

    Attributes:
        claims: The waiting pages that its message takes along, by their ids.
    """

    admission: Admission
    claims: tuple[str, ...] = ()


def kept_back(
    asked: PageAsked,
    *,
    known: LedgerPage | WaitingPage | None,
    lately: tuple[LedgerPage, ...],
    now: datetime,
) -> Admission | None:
    """Why a page does not go out now; None when it goes.

    Args:
        asked: The page.
        known: What became of it when it asked before.
        lately: What was let through to its contact, in any order, itself not included.
        now: The present moment.
    """
    match known:
        case LedgerPage(told_by=None):
            return None
        case LedgerPage(told_by=message):
            return Admission(kind=AdmissionKind.COVERED, covered_by=message)
        case WaitingPage() if known.is_claimed(now):
            until = min(known.claimed_until or now, now + LOOK_AGAIN)
            return _waits(until, "another message is about to tell it")
        case WaitingPage(claims=claims) if claims >= MOST_CLAIMS:
            asked = asked.model_copy(update={"bundle_within": timedelta(0)})
        case _:
            pass
    hold = held_until(asked, lately, now=now)
    return _waits(*hold) if hold else None


def departure(
    asked: PageAsked,
    *,
    known: LedgerPage | WaitingPage | None,
    waiting: Iterable[WaitingPage],
    now: datetime,
) -> Departure:
    """What a page that goes takes along, so that in the end exactly one message tells each.

    The first that may go takes the others of its group. Should its message not arrive in time,
    whoever asks next does the same.

    Args:
        asked: The page.
        known: What became of it when it asked before; what it took then, it takes now.
        waiting: What of its group waits for the contact and is still wanted, oldest first.
        now: The present moment.
    """
    if isinstance(known, LedgerPage):
        taken = [each for each in waiting if each.claimed_by == asked.notification_id]
        return Departure(admission=Admission(bundled=_others(asked, taken)))
    taken = _riders(asked, waiting, now) if asked.bundle_within else []
    claims = tuple(each.notification_id for each in taken)
    return Departure(admission=Admission(bundled=_others(asked, taken)), claims=claims)


def held_until(
    asked: PageAsked, lately: tuple[LedgerPage, ...], *, now: datetime
) -> tuple[datetime, str] | None:
    """How long a page has to wait for others that its contact got, and why.

    A service's first page in so long as the limits look back is never held by them.

    Args:
        asked: The page.
        lately: What was let through to its contact, in any order, itself not included.
        now: The present moment.

    Returns:
        The first moment at which nothing holds it, with the strongest reason; None for at once.
    """
    messages = tuple(each for each in lately if each.told_by is None)
    holds = [*_same(asked, lately), *_bundle(asked, messages)]
    oldest = now - _longest(asked.limits)
    if any(each.service == asked.service and each.at > oldest for each in lately):
        holds += _limits(asked, messages)
    later = [hold for hold in holds if hold[0] > now]
    return max(later, default=None)


def _same(asked: PageAsked, lately: tuple[LedgerPage, ...]) -> list[tuple[datetime, str]]:
    ends = [each.at + SAME_PAGE_AGAIN for each in lately if each.incident_id == asked.incident_id]
    return [(max(ends), "the same page went there less than a minute before")] if ends else []


def _bundle(asked: PageAsked, messages: tuple[LedgerPage, ...]) -> list[tuple[datetime, str]]:
    others = [
        each.at
        for each in messages
        if each.group == asked.group and each.incident_id != asked.incident_id
    ]
    if not others or not asked.bundle_within:
        return []
    reason = f"bundled with the other pages of {asked.group}"
    return [(max(others) + asked.bundle_within, reason)]


def _limits(asked: PageAsked, messages: tuple[LedgerPage, ...]) -> list[tuple[datetime, str]]:
    holds = []
    newest_first = sorted((each.at for each in messages), reverse=True)
    for limit in asked.limits:
        # Once the oldest of so many has left the span, there is room for one more.
        if len(newest_first) >= limit.messages:
            free = newest_first[limit.messages - 1] + limit.within
            holds.append((free, f"throttled: {limit.messages} messages within {limit.within}"))
    return holds


def _riders(asked: PageAsked, waiting: Iterable[WaitingPage], now: datetime) -> list[WaitingPage]:
    free = [
        each
        for each in waiting
        if each.notification_id != asked.notification_id
        and not each.is_claimed(now)
        and each.claims < MOST_CLAIMS
    ]
    return free[:MOST_BUNDLED]


def _others(asked: PageAsked, taken: list[WaitingPage]) -> tuple[BundledIncident, ...]:
    """The incidents of what a page takes along; several pages of one are one."""
    by_id = {each.incident.incident_id: each.incident for each in taken}
    by_id.pop(asked.incident_id, None)
    return tuple(by_id.values())


def _waits(until: datetime | None, reason: str) -> Admission:
    return Admission(kind=AdmissionKind.WAIT, until=until, reason=reason)


def _longest(limits: tuple[Limit, ...]) -> timedelta:
    return max((limit.within for limit in limits), default=timedelta(0))

"""What keeps a storm from people: limits, bundles, and that everything is told in the end."""

import heapq
import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.throttle import (
    LEASE,
    LOOK_AGAIN,
    MOST_BUNDLED,
    MOST_CLAIMS,
    TEXT_MESSAGE_LIMITS,
    AdmissionKind,
    LedgerPage,
    Limit,
    held_until,
)
from tests.domain.pages import MINUTE, NOW, SECOND, TWO_IN_TEN, WITHIN, Ledger, a_told, asked


def ids(admission):
    return [each.incident_id for each in admission.bundled]


@pytest.fixture
def ledger():
    return Ledger()


def test_the_first_page_goes_at_once(ledger):
    assert ledger.admit(asked("a"), NOW).kind is AdmissionKind.SEND


def test_what_follows_within_the_bundles_time_waits_for_one_moment_together(ledger):
    ledger.admit(asked("a"), NOW)
    for number, page in enumerate("bcd", start=1):
        answer = ledger.admit(asked(page), NOW + number * 10 * SECOND)
        assert (answer.kind, answer.until) == (AdmissionKind.WAIT, NOW + WITHIN)
        assert answer.reason == "bundled with the other pages of channels"


def test_the_first_that_asks_again_takes_all_along_oldest_first(ledger):
    for number, page in enumerate("abcd"):
        ledger.admit(asked(page), NOW + number * SECOND)
    answer = ledger.admit(asked("c"), NOW + WITHIN)
    assert (answer.kind, ids(answer)) == (AdmissionKind.SEND, ["i-b", "i-d"])


def test_what_was_taken_along_looks_again_soon_and_is_covered_once_that_was_sent(ledger):
    for page in "abc":
        ledger.admit(asked(page), NOW)
    ledger.admit(asked("b"), NOW + WITHIN)
    answer = ledger.admit(asked("c"), NOW + WITHIN)
    assert (answer.kind, answer.until) == (AdmissionKind.WAIT, NOW + WITHIN + LOOK_AGAIN)
    assert answer.reason == "another message is about to tell it"
    ledger.sent("b")
    answer = ledger.admit(asked("c"), NOW + WITHIN + LOOK_AGAIN)
    assert (answer.kind, answer.covered_by) == (AdmissionKind.COVERED, "b")


def test_after_a_lost_lease_whoever_asks_next_takes_the_others_along_again(ledger):
    for page in "abcd":
        ledger.admit(asked(page), NOW)
    ledger.admit(asked("b"), NOW + WITHIN)
    lost = NOW + WITHIN + LEASE
    assert ledger.admit(asked("c"), lost).until == NOW + 2 * WITHIN
    assert ids(ledger.admit(asked("c"), NOW + 2 * WITHIN)) == ["i-d"]


def test_what_two_lost_messages_took_along_waits_for_no_bundle_any_more(ledger):
    """A channel that does not work must not keep one incident after the other from its next."""
    for page in "abcdef":
        ledger.admit(asked(page), NOW)
    ledger.admit(asked("b"), NOW + WITHIN)
    ledger.admit(asked("c"), NOW + 2 * WITHIN)
    answers = [ledger.admit(asked(page), NOW + 2 * WITHIN + LEASE) for page in "def"]
    assert [answer.kind for answer in answers] == [AdmissionKind.SEND] * 3
    assert not any(answer.bundled for answer in answers)


def test_asking_twice_is_asking_once(ledger):
    """A local activity may run again after a crash; its answer must not change."""
    for page in "abc":
        ledger.admit(asked(page), NOW)
    first = ledger.admit(asked("b"), NOW + WITHIN)
    assert ledger.admit(asked("b"), NOW + WITHIN + 5 * SECOND) == first
    assert ids(first) == ["i-c"]


def test_without_bundling_each_goes_at_once(ledger):
    answers = [ledger.admit(asked(page, within=timedelta(0)), NOW) for page in "abc"]
    assert all(each.kind is AdmissionKind.SEND and not each.bundled for each in answers)


def test_the_same_incident_waits_for_the_minutes_end(ledger):
    """Even without bundling; another incident does not."""
    ledger.admit(asked("a", incident="i", within=timedelta(0)), NOW)
    answer = ledger.admit(asked("b", incident="i", within=timedelta(0)), NOW + 20 * SECOND)
    assert answer.until == NOW + MINUTE
    assert ledger.admit(asked("c", within=timedelta(0)), NOW).kind is AdmissionKind.SEND


def test_several_waiting_pages_of_one_incident_are_one_in_a_bundle(ledger):
    ledger.admit(asked("a"), NOW)
    for page in ("b", "c"):
        ledger.admit(asked(page, incident="twice"), NOW + SECOND)
    ledger.admit(asked("d"), NOW + SECOND)
    assert ids(ledger.admit(asked("d"), NOW + WITHIN)) == ["twice"]
    assert ledger.claims["d"] == ("b", "c")


def test_a_page_speaks_for_the_other_pages_of_its_own_incident_without_listing_it(ledger):
    ledger.admit(asked("a"), NOW)
    for page in ("b", "c"):
        ledger.admit(asked(page, incident="twice"), NOW + SECOND)
    answer = ledger.admit(asked("c", incident="twice"), NOW + WITHIN)
    assert (answer.bundled, ledger.claims["c"]) == ((), ("b",))


def test_other_groups_are_not_taken_along(ledger):
    for service in ("channels", "billing"):
        for page in "ab":
            ledger.admit(asked(f"{service}-{page}", service=service), NOW)
    answer = ledger.admit(asked("billing-b", service="billing"), NOW + WITHIN)
    assert (answer.kind, answer.bundled) == (AdmissionKind.SEND, ())


def test_a_message_lists_no_more_than_its_workflow_can_keep(ledger):
    for number in range(MOST_BUNDLED + 10):
        ledger.admit(asked(str(number)), NOW)
    assert len(ledger.admit(asked("9"), NOW + WITHIN).bundled) == MOST_BUNDLED


def test_a_full_limit_holds_until_its_oldest_message_leaves_the_span(ledger):
    for number, page in enumerate("ab"):
        ledger.admit(asked(page, limits=TWO_IN_TEN, within=timedelta(0)), NOW + number * MINUTE)
    answer = ledger.admit(asked("c", limits=TWO_IN_TEN, within=timedelta(0)), NOW + 2 * MINUTE)
    assert answer.until == NOW + 10 * MINUTE
    assert answer.reason == "throttled: 2 messages within 0:10:00"
    again = ledger.admit(asked("c", limits=TWO_IN_TEN, within=timedelta(0)), answer.until)
    assert again.kind is AdmissionKind.SEND


@pytest.mark.parametrize("group", [None, "policy"])
def test_a_services_first_page_is_never_throttled(ledger, group):
    """Bundling by policy may have it wait for the next message, the limits never."""
    for number in range(5):
        page = asked(str(number), limits=TWO_IN_TEN, group=group and f"{group}-{number}")
        ledger.admit(page, NOW + number * WITHIN)
    first = asked("first", service="billing", limits=TWO_IN_TEN, group=group)
    assert ledger.admit(first, NOW + 3 * MINUTE).kind is AdmissionKind.SEND


def test_a_services_first_page_waits_for_its_policys_bundle_and_no_longer(ledger):
    for page in ("a", "b"):
        ledger.admit(asked(page, group="policy", limits=TWO_IN_TEN), NOW)
    ledger.admit(asked("b", group="policy", limits=TWO_IN_TEN), NOW + WITHIN)
    ledger.sent("b")
    first = asked("first", service="billing", group="policy", limits=TWO_IN_TEN)
    assert ledger.admit(first, NOW + WITHIN).until == NOW + 2 * WITHIN
    assert ledger.admit(first, NOW + 2 * WITHIN).kind is AdmissionKind.SEND


def test_what_was_told_longer_ago_than_the_limits_look_back_makes_no_service_known():
    """Else the first page of the day could be held by yesterday's."""
    old = LedgerPage(
        notification_id="old",
        incident_id="old",
        service="channels",
        group="channels",
        at=NOW - 11 * MINUTE,
    )
    recent = [
        old.model_copy(update={"notification_id": str(n), "at": NOW, "service": "b", "group": "b"})
        for n in range(3)
    ]
    assert held_until(asked(limits=TWO_IN_TEN), (old, *recent), now=NOW) is None


def test_a_page_that_travelled_with_another_counts_for_its_service_but_as_no_message():
    message = a_told(asked("m", service="billing", group="policy"), NOW)
    rider = a_told(asked("r", group="policy"), NOW, told_by="m")
    one = asked(limits=(Limit(messages=1, within=10 * MINUTE),), within=timedelta(0))
    two = asked(limits=TWO_IN_TEN, within=timedelta(0))
    assert held_until(one, (message, rider), now=NOW) is not None
    assert held_until(one, (message,), now=NOW) is None
    assert held_until(two, (message, rider), now=NOW) is None


def test_what_was_withdrawn_is_not_listed(ledger):
    for page in "abc":
        ledger.admit(asked(page), NOW)
    ledger.withdraw("i-b")
    assert ids(ledger.admit(asked("c"), NOW + WITHIN)) == []


class Storm:
    """Plays pages against a ledger: each asks, waits as it is told, asks again, and is told.

    Args:
        pages: Each with its moment.
        lost: The messages, in their order, that never arrive.
        repeats: The asks, in their order, that a crash makes happen twice.
        withdrawn: When people take incidents, by id.
    """

    def __init__(self, pages, *, lost=(), repeats=(), withdrawn=()):
        self.ledger = Ledger()
        self.sent = []
        self.told = {}
        self.asks = {}
        self._pages, self._lost, self._repeats = pages, lost, repeats
        self._withdrawn = dict(withdrawn)
        self._numbers = itertools.count()
        self._due = []
        for page, at in pages:
            self._at(at, self._ask, page)
        for incident, at in self._withdrawn.items():
            self._at(at, self.ledger.withdraw, incident)

    def _at(self, at, act, *arguments):
        heapq.heappush(self._due, (at, next(self._numbers), act, arguments))

    def play(self):
        while self._due:
            self.now, _, act, arguments = heapq.heappop(self._due)
            act(*arguments)
        return self

    def is_taken(self, incident):
        return self.now >= self._withdrawn.get(incident, self.now + MINUTE)

    def _ask(self, page):
        if self.is_taken(page.incident_id):
            return
        name = page.notification_id
        self.asks[name] = self.asks.get(name, 0) + 1
        is_first = self._is_first(page)
        answer = self.ledger.admit(page, self.now)
        if sum(self.asks.values()) in self._repeats:
            assert self.ledger.admit(page, self.now) == answer
        match answer.kind:
            case AdmissionKind.SEND:
                self._send(page, answer, is_first=is_first)
            case AdmissionKind.WAIT:
                assert answer.until > self.now
                self._at(answer.until, self._ask, page)
            case AdmissionKind.COVERED:
                assert answer.covered_by in self.told[name]

    def _send(self, page, answer, *, is_first):
        listed = {each.incident_id for each in answer.bundled}
        assert not any(self.is_taken(incident) for incident in listed)
        self.sent.append((page, self.now, is_first))
        if len(self.sent) not in self._lost:
            self._at(self.now + 20 * SECOND, self._arrive, page.notification_id)

    def _is_first(self, page):
        """Whether nothing of its service was told for as long as its limits look back."""
        longest = max((limit.within for limit in page.limits), default=timedelta(0))
        services = [
            each.service for each in self.ledger.told.values() if each.at > self.now - longest
        ]
        return page.service not in services

    def _arrive(self, name):
        for each in (name, *self.ledger.sent(name)):
            self.told.setdefault(each, []).append(name)


LIMITS = st.sampled_from(
    [(), TWO_IN_TEN, TEXT_MESSAGE_LIMITS, (Limit(messages=1, within=MINUTE), *TWO_IN_TEN)]
)


@st.composite
def storms(draw):
    by_policy, limits = draw(st.booleans()), draw(LIMITS)
    within = draw(st.sampled_from([timedelta(0), MINUTE, WITHIN]))
    pages = []
    for number in range(draw(st.integers(1, 12))):
        service = draw(st.sampled_from("xyz"))
        page = asked(
            str(number),
            incident=f"{service}{draw(st.integers(0, 4))}",
            service=service,
            group="policy" if by_policy else service,
            within=within,
            limits=limits,
        )
        pages.append((page, NOW + draw(st.integers(0, 900)) * SECOND))
    return pages


NUMBERS = st.sets(st.integers(1, 40), max_size=8)


@given(storms(), NUMBERS, NUMBERS)
def test_limits_hold_but_for_first_pages_of_services(pages, lost, repeats):
    storm = Storm(pages, lost=lost, repeats=repeats).play()
    for place, (page, at, is_first) in enumerate(storm.sent):
        for limit in page.limits:
            before = [each for _, each, _ in storm.sent[:place] if each > at - limit.within]
            assert is_first or len(before) < limit.messages


@given(storms(), NUMBERS)
def test_everything_is_told_by_exactly_one_message(pages, repeats):
    storm = Storm(pages, repeats=repeats).play()
    names = {page.notification_id for page, _ in pages}
    assert {name: len(by) for name, by in storm.told.items()} == dict.fromkeys(names, 1)


@given(storms(), NUMBERS)
def test_no_page_waits_for_ever_whatever_is_lost(pages, lost):
    """Each goes itself or travels in a message that arrived, after asking a few times."""
    storm = Storm(pages, lost=lost).play()
    went = {page.notification_id for page, _, _ in storm.sent}
    assert went | set(storm.told) == {page.notification_id for page, _ in pages}
    assert not storm.ledger.waiting
    # While a message is about to tell it, a page looks again every few seconds.
    while_claimed = MOST_CLAIMS * (LEASE // LOOK_AGAIN)
    assert max(storm.asks.values()) <= 2 * len(pages) + 2 + while_claimed


@settings(max_examples=200)
@given(storms(), st.dictionaries(st.sampled_from(["x0", "x1", "y0", "y1"]), st.integers(0, 900)))
def test_an_incident_that_somebody_took_is_never_listed_later(pages, taken):
    """The storm itself checks it, with each message that goes."""
    moments = {incident: NOW + seconds * SECOND for incident, seconds in taken.items()}
    Storm(pages, withdrawn=moments).play()

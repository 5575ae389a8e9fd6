"""The ledger of pages on a real PostgreSQL: the rules of ``throttle.py``, by many at once."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from holdfast.domain.person import Contact
from holdfast.domain.throttle import LOOK_AGAIN, TEXT_MESSAGE_LIMITS, AdmissionKind
from storage.database import create_engine, transaction
from storage.page_ledger import PageLedger
from tests.domain.pages import MINUTE, NOW, PHONE, SECOND, TWO_IN_TEN, WITHIN, Ledger, asked

OTHER_PHONE = Contact(channel="sms", to="+15550199")


@pytest.fixture
def ledger(engine):
    return PageLedger(engine)


@pytest.fixture
def rows(engine):
    async def rows():
        async with transaction(engine) as connection:
            found = await connection.execute(text("SELECT * FROM pages ORDER BY notification_id"))
            return {row["notification_id"]: dict(row) for row in found.mappings()}

    return rows


def ids(admission):
    return [each.incident_id for each in admission.bundled]


async def test_a_page_goes_and_what_follows_waits_and_travels_with_the_next(ledger):
    assert (await ledger.admit(asked("a"), now=NOW)).kind is AdmissionKind.SEND
    for page in "bcd":
        answer = await ledger.admit(asked(page), now=NOW + SECOND)
        assert (answer.kind, answer.until) == (AdmissionKind.WAIT, NOW + WITHIN)
    goes = await ledger.admit(asked("c"), now=NOW + WITHIN)
    assert (goes.kind, ids(goes)) == (AdmissionKind.SEND, ["i-b", "i-d"])
    waits = await ledger.admit(asked("b"), now=NOW + WITHIN)
    assert (waits.kind, waits.until) == (AdmissionKind.WAIT, NOW + WITHIN + LOOK_AGAIN)
    await ledger.sent("c")
    told = await ledger.admit(asked("b"), now=NOW + WITHIN + LOOK_AGAIN)
    assert (told.kind, told.covered_by) == (AdmissionKind.COVERED, "c")


async def test_asking_twice_is_asking_once(ledger, rows):
    for page in "ab":
        await ledger.admit(asked(page), now=NOW)
    first = await ledger.admit(asked("b"), now=NOW + WITHIN)
    before = await rows()
    assert await ledger.admit(asked("b"), now=NOW + WITHIN + SECOND) == first
    assert await rows() == before


async def test_a_lost_lease_is_taken_over_and_a_late_message_covers_no_longer(ledger):
    for page in "abc":
        await ledger.admit(asked(page), now=NOW)
    await ledger.admit(asked("b"), now=NOW + WITHIN)
    later = NOW + 2 * WITHIN
    goes = await ledger.admit(asked("c"), now=later)
    assert goes.kind is AdmissionKind.SEND
    await ledger.sent("b")
    assert await ledger.admit(asked("c"), now=later) == goes


async def test_of_many_at_once_one_goes_over_all_processes(ledger, database_url):
    other = create_engine(database_url)
    ledgers = [ledger, PageLedger(other)]
    asks = (ledgers[n % 2].admit(asked(f"p{n}"), now=NOW) for n in range(40))
    kinds = Counter(answer.kind for answer in await asyncio.gather(*asks))
    assert kinds == {AdmissionKind.SEND: 1, AdmissionKind.WAIT: 39}
    again = (ledgers[n % 2].admit(asked(f"p{n}"), now=NOW + WITHIN) for n in range(40))
    answers = await asyncio.gather(*again)
    went = [answer for answer in answers if answer.kind is AdmissionKind.SEND]
    # The first page of all, which is asked for again, and one with all the others.
    assert sorted(len(answer.bundled) for answer in went) == [0, 38]
    await other.dispose()


async def test_contacts_do_not_hold_each_other(ledger):
    await ledger.admit(asked("a"), now=NOW)
    answer = await ledger.admit(asked("b", contact=OTHER_PHONE), now=NOW)
    assert answer.kind is AdmissionKind.SEND


async def test_limits_count_messages_and_spare_first_pages(ledger):
    for number in range(4):
        page = asked(f"a{number}", service=f"s{number}", limits=TWO_IN_TEN)
        answer = await ledger.admit(page, now=NOW + number * SECOND)
        assert answer.kind is AdmissionKind.SEND
    answer = await ledger.admit(asked("b", service="s0", limits=TWO_IN_TEN), now=NOW + 3 * MINUTE)
    assert (answer.kind, answer.until) == (AdmissionKind.WAIT, NOW + 2 * SECOND + 10 * MINUTE)


async def test_withdrawn_pages_are_listed_by_no_message(ledger):
    for page in "abcd":
        await ledger.admit(asked(page), now=NOW)
    await ledger.admit(asked("b2", incident="i-b", contact=OTHER_PHONE), now=NOW)
    await ledger.withdraw("i-b")
    goes = await ledger.admit(asked("d"), now=NOW + WITHIN)
    assert ids(goes) == ["i-c"]
    await ledger.withdraw("nobody")


async def test_a_page_that_asks_although_it_was_withdrawn_is_told(ledger):
    """Whoever asks wants it: a duplicate beats a miss."""
    for page in "ab":
        await ledger.admit(asked(page), now=NOW)
    await ledger.withdraw("i-b")
    answer = await ledger.admit(asked("b"), now=NOW + WITHIN)
    assert answer.kind is AdmissionKind.SEND


async def test_a_page_that_went_without_the_ledgers_answer_counts_all_the_same(ledger):
    """The ledger took too long to answer, so it was sent; what waits must not wait for it."""
    for page in "abc":
        await ledger.admit(asked(page), now=NOW)
    await ledger.admit(asked("c"), now=NOW + WITHIN)
    await ledger.sent("b")
    await ledger.sent("unheard of")
    assert (await ledger.admit(asked("b"), now=NOW + WITHIN)).kind is AdmissionKind.SEND
    assert await ledger.newest_for([PHONE]) == "i-b"


async def test_the_newest_is_what_was_sent_last_not_what_it_spoke_for(ledger):
    assert await ledger.newest_for([PHONE]) is None
    for page in "abc":
        await ledger.admit(asked(page), now=NOW)
    await ledger.sent("a")
    await ledger.admit(asked("c"), now=NOW + WITHIN)
    assert await ledger.newest_for([PHONE]) == "i-a"
    await ledger.sent("c")
    assert await ledger.newest_for([OTHER_PHONE, PHONE]) == "i-c"
    assert await ledger.newest_for([OTHER_PHONE]) is None
    assert await ledger.newest_for([]) is None


async def test_rows_of_a_day_ago_are_pruned_by_the_contacts_next_page(ledger, rows):
    await ledger.admit(asked("a"), now=NOW)
    await ledger.admit(asked("b"), now=NOW)
    await ledger.admit(asked("x", contact=OTHER_PHONE), now=NOW)
    # What waited for so long is not forgotten: it travels with the next.
    await ledger.admit(asked("c"), now=NOW + timedelta(hours=25))
    assert list(await rows()) == ["b", "c", "x"]
    await ledger.sent("c")
    await ledger.admit(asked("d"), now=NOW + timedelta(hours=50, minutes=1))
    assert list(await rows()) == ["d", "x"]


@pytest.mark.parametrize("seed", range(6))
async def test_it_answers_as_the_rules_do(ledger, seed):
    """Any pages in any order, some asked for twice, some lost, some withdrawn."""
    chance, model, now, pages, went = random.Random(seed), Ledger(), NOW, [], []
    for number in range(60):
        now += chance.choice([SECOND, 20 * SECOND, MINUTE])
        if chance.random() < 0.5 or not pages:
            service = chance.choice("xyz")
            pages.append(
                asked(
                    f"p{number:02}",
                    incident=f"{service}{chance.randrange(3)}",
                    service=service,
                    group=service if seed % 2 else "policy",
                    limits=TEXT_MESSAGE_LIMITS,
                )
            )
        page = pages[-1] if chance.random() < 0.5 else chance.choice(pages)
        answer = await ledger.admit(page, now=now)
        assert answer == model.admit(page, now)
        if answer.kind is AdmissionKind.SEND:
            went.append(page.notification_id)
        if went and chance.random() < 0.4:
            sent = chance.choice(went)
            await ledger.sent(sent)
            model.sent(sent)
        if chance.random() < 0.1:
            incident = chance.choice(pages).incident_id
            await ledger.withdraw(incident)
            model.withdraw(incident)


async def test_moments_come_back_as_they_were(ledger):
    """The ledger's times are compared with those of workflows, to the microsecond."""
    now = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    await ledger.admit(asked("a"), now=now)
    assert (await ledger.admit(asked("b"), now=now)).until == now + WITHIN

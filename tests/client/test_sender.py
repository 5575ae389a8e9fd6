"""What goes out is folded, counted exactly, sent again under its key, and never holds up others."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.client import Holdfast
from holdfast.client.courier import Courier
from holdfast.client.entry import MOST_FOLDED, Entry
from holdfast.client.outbox import Outbox
from holdfast.client.spill import Spill
from tests.client.control_plane import ACCEPTED, eventually

SOON = timedelta(seconds=10)


class PaymentError(Exception):
    pass


def declined(message="declined"):
    with pytest.raises(PaymentError) as caught:
        decline(message)
    return caught.value


def decline(message):
    raise PaymentError(message)


def held(plane, holdfast):
    """Have a first report on its way, so that what follows waits."""
    plane.gate.clear()
    holdfast.report("on its way")
    eventually(lambda: plane.requests)


def sent(plane, holdfast):
    plane.gate.set()
    assert holdfast.flush(SOON)
    return plane.entries[1:]


def test_repeats_become_one_entry_with_an_exact_count(plane, holdfast):
    """The first and the last time are told, and the latest circumstances."""
    held(plane, holdfast)
    before = datetime.now(UTC)
    for number in range(1000):
        holdfast.report(declined(), context={"order": number}, user=f"user {number}")
    [entry] = sent(plane, holdfast)
    assert entry["count"] == 1000
    assert (entry["context"], entry["user"]) == ({"order": 999}, "user 999")
    first, last = (
        datetime.fromisoformat(entry[name]) for name in ("first_occurred_at", "occurred_at")
    )
    assert before <= first < last <= datetime.now(UTC)


def test_counts_are_exact_over_threads_while_batches_leave(plane, holdfast):
    def report_many():
        for _ in range(2000):
            holdfast.report(declined())

    threads = [threading.Thread(target=report_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert holdfast.flush(SOON)
    assert plane.counts == {"declined": 8000}


def test_a_report_that_is_alone_says_no_count(plane, holdfast):
    holdfast.report(declined())
    assert holdfast.flush(SOON)
    assert {"count", "first_occurred_at"}.isdisjoint(plane.entries[0])


@pytest.mark.parametrize(
    "other",
    [
        {"error_type": "Other"},
        {"category": "api"},
        {"severity": "high"},
        {"fingerprint": "other"},
        {"service": "other"},
        {"labels": {"region": "eu"}},
        {"error": declined("refused")},
        {"error": "declined"},
    ],
    ids=lambda value: next(iter(value)),
)
def test_what_could_be_another_incident_is_not_folded(plane, holdfast, other):
    held(plane, holdfast)
    error = declined()
    holdfast.report(error)
    holdfast.report(**{"error": error} | other)
    assert len(sent(plane, holdfast)) == 2


def test_one_message_from_two_places_is_two_errors(plane, holdfast):
    def elsewhere():
        raise PaymentError("declined")

    held(plane, holdfast)
    holdfast.report(declined())
    with pytest.raises(PaymentError) as caught:
        elsewhere()
    holdfast.report(caught.value)
    assert len(sent(plane, holdfast)) == 2


def test_many_messages_that_differ_in_numbers_alone_become_one_entry(plane, holdfast):
    """Where there are so many, they are told apart as Holdfast tells errors apart."""
    held(plane, holdfast)
    for number in range(500):
        holdfast.report(f"user {number} not found")
        holdfast.report("not found", error_type=f"Kind{number % 7}")
    counts = sorted(entry.get("count", 1) for entry in sent(plane, holdfast))
    assert counts[-1] == 500
    assert (len(counts), sum(counts)) == (8, 1000)


def test_more_than_an_entry_can_say_is_told_in_parts(plane, holdfast):
    held(plane, holdfast)
    holdfast.report("boom")
    [entry] = holdfast._outbox._waiting.values()
    entry.count = 2 * MOST_FOLDED + 1
    assert [each.get("count", 1) for each in sent(plane, holdfast)] == [MOST_FOLDED, MOST_FOLDED, 1]


def test_what_a_caller_does_to_its_context_later_does_not_show(plane, holdfast):
    held(plane, holdfast)
    flat, deep = {"order": 1}, {"order": {"id": 1}}
    holdfast.report("flat", context=flat)
    holdfast.report("deep", context=deep)
    flat["order"] = deep["order"]["id"] = 2
    contexts = [entry["context"] for entry in sent(plane, holdfast)]
    assert contexts == [{"order": 1}, {"order": {"id": 1}}]


@pytest.mark.parametrize("odd", [{"labels": {"n": [1]}}, {"category": ["a"]}, {"user": 7}])
def test_what_is_no_text_is_told_as_text(plane, holdfast, odd):
    holdfast.report("boom", **odd)
    holdfast.report("boom", **odd)
    assert holdfast.flush(SOON)
    assert plane.counts == {"boom": 2}


def test_a_number_too_long_to_write_keeps_no_other_report_back(plane, holdfast):
    holdfast.report("huge", context={"number": 10**10_000})
    holdfast.report("other")
    assert holdfast.flush(SOON)
    assert set(plane.counts) == {"huge", "other"}


def test_a_batch_goes_again_under_its_key(plane, holdfast):
    plane.script.extend([(503, {}, {}), (502, {}, {})])
    holdfast.report("boom")
    assert holdfast.flush(SOON)
    keys = [request.headers["Idempotency-Key"] for request in plane.posts()]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_each_batch_has_a_key_of_its_own(plane, holdfast):
    for _ in range(2):
        holdfast.report("boom")
        assert holdfast.flush(SOON)
    first, second = plane.posts()
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


def test_what_was_refused_for_now_goes_again_alone_under_its_key(plane, holdfast):
    """A store was away for one of them; the others were counted."""
    held(plane, holdfast)
    holdfast.report("taken")
    holdfast.report("refused")
    away = {"accepted": False, "problem": {"status": 503, "title": "Unavailable"}}
    plane.script.extend(
        [(202, {}, {"results": [ACCEPTED]}), (202, {}, {"results": [ACCEPTED, away]})]
    )
    plane.gate.set()
    assert holdfast.flush(SOON)
    assert plane.counts == {"refused": 1}
    _, first, second = plane.posts()
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_a_batch_that_holdfast_always_fails_at_is_given_up(plane, caplog):
    """So it keeps the others back for a while only; what is away is tried for as long as it is."""
    plane.script.extend([(503, {}, {}), (500, {}, {}), (500, {}, {})])
    outbox = Outbox(10)
    spill = Spill(None, url=plane.url, service="shop")
    courier = Courier(outbox, spill, url=plane.url, key="key", most_faults=2)
    thread = threading.Thread(target=courier.run)
    thread.start()
    for message in ("poison", "other"):
        outbox.put(message, Entry({"error_type": "Error", "message": message}, at=0.0))
        eventually(lambda: len(plane.posts()) >= 3)
    assert outbox.wait_empty(SOON)
    outbox.close()
    thread.join()
    assert plane.counts == {"other": 1}
    assert "rejected 1 reports: HTTP 500" in caplog.text


def test_a_storm_is_few_requests(plane, holdfast):
    stop = threading.Event()

    def storm():
        while not stop.is_set():
            holdfast.report(declined())

    thread = threading.Thread(target=storm)
    thread.start()
    eventually(lambda: len(plane.posts()) == 3)
    stop.set()
    thread.join()
    assert plane.posts()[2].at - plane.posts()[0].at > 0.3


def test_outcomes_and_leases_do_not_wait_for_reports(plane, holdfast):
    """Holdfast is slow to take reports: what guarded calls have to tell goes past them."""
    plane.script.append((503, {"Retry-After": "60"}, {}))
    holdfast.report("boom")
    eventually(plane.posts)

    @holdfast.guard("payments")
    def pay():
        return "paid"

    assert pay() == "paid"
    eventually(lambda: plane.outcomes)
    [told] = plane.outcomes[0]["outcomes"]
    assert (told["service"], told["calls"], told["failures"]) == ("payments", 1, 0)
    assert plane.counts == {}


def test_outcomes_that_could_not_be_told_are_told_later(plane, holdfast):
    plane.is_away = True
    with holdfast.breaker("payments"):
        pass
    eventually(lambda: plane.posts("/api/system/outcomes"))
    plane.is_away = False
    eventually(lambda: plane.outcomes)
    assert sum(each["calls"] for told in plane.outcomes for each in told["outcomes"]) == 1


def test_what_is_off_sends_nothing_and_lets_all_pass(plane):
    """Guards pass however much fails, features are on, no thread starts."""
    before = threading.active_count()
    with Holdfast(off=True) as holdfast:

        @holdfast.guard("payments")
        def pay():
            raise PaymentError

        for _ in range(100):
            with pytest.raises(PaymentError):
                pay()
        holdfast.report("boom")
        assert holdfast.feature("hd-transcode")
        assert holdfast.flush(SOON)
        assert threading.active_count() == before
    assert holdfast.dropped == 0

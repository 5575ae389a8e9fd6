"""The breaker in one process: what the fleet's says, and what it sees itself."""

import threading
from datetime import timedelta

import pytest

from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.guidance import ServiceGuidance
from holdfast.errors import BreakerOpen
from tests.client.process import GRACE, RULES, SERVICE, Process, Refused

HALF_OPEN, CLOSED, OPEN = BreakerStatus.HALF_OPEN, BreakerStatus.CLOSED, BreakerStatus.OPEN


def test_it_trips_at_once_on_what_the_process_sees():
    process = Process()
    process.fail(3)
    assert process.status is CLOSED
    process.fail(1)
    rejected = process.call()
    assert isinstance(rejected, BreakerOpen)
    assert rejected.reason == "4 of 4 calls failed within 30 s in this process"
    assert rejected.epoch == process.epoch
    assert rejected.retry_after == timedelta(seconds=10)


def test_too_few_calls_say_nothing():
    process = Process(rules=BreakerRules(minimum_calls=5))
    process.fail(4)
    assert process.status is CLOSED


def test_failures_that_left_the_window_say_nothing():
    process = Process()
    process.fail(3)
    process.wait(seconds=32)
    process.fail(3)
    assert process.status is CLOSED


def test_of_a_count_window_only_the_latest_calls_count():
    """For a service with few calls, a long window holds no more than so many of them."""
    process = Process(rules=BreakerRules(minimum_calls=4, window_calls=4))
    for _ in range(20):
        process.call()
        process.wait(seconds=1)
    for _ in range(2):
        process.fail(1)
        process.wait(seconds=1)
    assert process.status is OPEN


def test_slow_calls_open_it_too():
    rules = BreakerRules(minimum_calls=4, slow_after=timedelta(seconds=2))
    process = Process(rules=rules)
    for _ in range(3):
        process.call(took=timedelta(seconds=2.5))
    assert process.status is CLOSED
    process.call(took=timedelta(seconds=2.5))
    assert process.status is OPEN


def test_alone_it_stays_open_for_ten_seconds_then_probes_then_ramps():
    """A process that tripped by itself soon asks again; then it lets traffic back in by steps."""
    process = Process(rules=BreakerRules(minimum_calls=4, leases=1, ramp=(0.25,)))
    process.fail()
    process.wait(seconds=9.9)
    assert process.rejects()
    process.wait(seconds=0.1)
    assert process.call() == "answer"
    process.drawn = 0.3
    assert process.rejects()
    process.drawn = 0.2
    assert process.call() == "answer"
    process.drawn = 0.9
    process.wait(seconds=10)
    assert process.call() == "answer"


def test_alone_it_makes_no_more_probes_at_once_than_the_rules_say():
    process = Process(rules=BreakerRules(minimum_calls=4, leases=2))
    process.fail()
    process.wait(seconds=10)
    first, second = process.breaker.admit(), process.breaker.admit()
    assert process.rejects()
    assert first.lease_id != second.lease_id


def test_a_probe_that_fails_alone_opens_it_again():
    process = Process()
    process.fail()
    process.wait(seconds=10)
    process.fail(1)
    assert process.status is OPEN
    assert process.call().retry_after == timedelta(seconds=10)


def test_a_slow_probe_does_not_pass():
    """What was opened for being slow is not well when it is still slow."""
    process = Process(rules=BreakerRules(minimum_calls=4, slow_after=timedelta(seconds=1)))
    process.fail()
    process.wait(seconds=10)
    process.call(took=timedelta(seconds=2))
    assert process.status is OPEN


def test_a_hung_probe_does_not_hold_the_breaker():
    """Its lease expires, and another call gets its turn; what it says at last is late."""
    rules = BreakerRules(minimum_calls=4, leases=1, ramp=())
    process = Process(rules=rules)
    process.fail()
    process.wait(seconds=10)
    hung = process.breaker.admit()
    assert process.rejects()
    process.wait(seconds=10)
    assert process.call() == "answer"
    assert process.status is CLOSED
    process.breaker.settle(hung, process.breaker.judge(Refused()), took=10.0)
    assert process.status is CLOSED


def test_a_cancelled_probe_says_nothing_and_leaves_its_turn_to_the_next_call():
    process = Process(rules=BreakerRules(minimum_calls=4, leases=1, ramp=()))
    process.fail()
    process.wait(seconds=10)
    with pytest.raises(KeyboardInterrupt):
        process.call(KeyboardInterrupt())
    assert process.status is HALF_OPEN
    assert process.call() == "answer"
    assert process.status is CLOSED


def test_a_late_result_counts_nothing():
    """A call belongs to the window that it was admitted with."""
    process = Process()
    late = process.breaker.admit()
    process.hear(OPEN)
    process.hear(CLOSED)
    for _ in range(9):
        process.breaker.settle(late, process.breaker.judge(Refused()), took=0.0)
        late.count()
    assert process.status is CLOSED
    assert process.told() is None


@pytest.mark.parametrize("status", [OPEN, BreakerStatus.FORCED_OPEN])
def test_the_fleet_s_open_breaker_rejects_every_call(status):
    process = Process()
    process.hear(status)
    rejected = process.call()
    assert isinstance(rejected, BreakerOpen)
    assert (rejected.reason, rejected.epoch) == ("why", process.epoch)
    assert rejected.retry_after == timedelta(seconds=5)
    assert process.sums() is None


def test_a_rejected_call_says_when_the_fleet_probes():
    process = Process()
    process.hear(OPEN, probes_at=process.clock.now + timedelta(seconds=8))
    process.wait(seconds=2)
    assert process.call().retry_after == timedelta(seconds=6)
    assert process.breaker.retry_after == timedelta(seconds=6)
    process.wait(seconds=60)
    assert process.call().retry_after == timedelta()


def test_a_clock_that_is_wrong_does_not_make_the_wait_absurd():
    process = Process()
    process.hear(OPEN, probes_at=process.clock.now + timedelta(days=1))
    assert process.call().retry_after == timedelta(seconds=72)


def test_the_fleet_s_ramp_lets_its_share_through():
    process = Process()
    process.hear(CLOSED, share=0.25)
    process.drawn = 0.24
    assert process.call() == "answer"
    process.drawn = 0.25
    rejected = process.call()
    assert rejected.reason == "25% of the calls are let through for now"
    assert rejected.retry_after == timedelta(seconds=1)


def test_the_next_step_of_a_ramp_keeps_what_was_counted():
    process = Process()
    process.hear(CLOSED, share=0.99)
    process.fail(2)
    process.hear(CLOSED, epoch=process.epoch)
    process.fail(2)
    assert process.status is OPEN


def test_disabled_passes_all_and_counts_nothing():
    process = Process()
    process.hear(BreakerStatus.DISABLED)
    process.fail(50)
    assert process.call() == "answer"
    assert process.status is BreakerStatus.DISABLED
    assert process.told() is None


def test_metrics_only_passes_all_and_counts_but_trips_nothing():
    process = Process()
    process.hear(BreakerStatus.METRICS_ONLY)
    process.fail(50)
    assert process.call() == "answer"
    assert process.sums() == (51, 50, 0)


def test_out_of_contact_the_last_word_holds_for_the_grace_then_local_rules():
    process = Process()
    process.hear(OPEN)
    process.clock.advance(GRACE)
    assert process.rejects()
    process.clock.advance(timedelta(seconds=0.001))
    assert process.call() == "answer"
    process.fail()
    assert process.status is OPEN
    assert "in this process" in process.call().reason


def test_back_in_contact_the_fleet_s_word_holds_again():
    """Nothing may have changed meanwhile, so that nothing is told anew."""
    process = Process()
    process.hear(OPEN)
    process.clock.advance(GRACE * 2)
    assert process.call() == "answer"
    process.switchboard.contact()
    assert process.rejects()


def test_what_is_heard_without_a_sign_of_life_is_not_contact():
    """A process of the API that hears nothing itself may tell what was true an hour ago."""
    process = Process()
    process.clock.advance(GRACE * 2)
    guidance = ServiceGuidance(service=SERVICE, breaker={"status": "open", "epoch": 9})
    process.switchboard.heard([guidance], whole=True)
    assert process.call() == "answer"
    process.switchboard.contact()
    assert process.rejects()


def test_a_change_of_the_fleet_s_state_begins_the_process_s_own_anew():
    process = Process()
    process.fail()
    process.hear(OPEN)
    process.hear(CLOSED)
    assert process.call() == "answer"


def test_other_rules_hold_from_now_on():
    process = Process()
    process.fail(3)
    process.rules = BreakerRules(minimum_calls=1)
    process.hear(CLOSED, epoch=process.epoch)
    assert process.status is CLOSED
    process.fail(1)
    assert process.status is OPEN


def test_what_the_rules_ignore_is_not_counted():
    process = Process(rules=BreakerRules(minimum_calls=1, ignore=("ValueError",)))
    process.call(UnicodeError())
    assert process.told() is None


def test_what_the_rules_don_t_list_went_well():
    process = Process(rules=BreakerRules(minimum_calls=1, count_only=("OSError",)))
    process.call(ValueError())
    assert process.sums() == (1, 0, 0)


def test_threads_lose_no_count():
    """The fast path counts without a lock; a bucket's end and failures take it."""
    process = Process(rules=BreakerRules(minimum_calls=10**6))
    breaker = process.breaker
    breaker.settle(breaker.admit(), breaker.judge(Refused()), took=0.0)

    def call():
        for number in range(2000):
            process.call(Refused() if number % 10 == 0 else None)
            process.clock.advance(timedelta(milliseconds=1))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process.sums() == (8001, 801, 0)


def test_a_call_made_while_the_lock_is_held_does_not_hang():
    """A signal handler or a finalizer may make guarded calls in the middle of one."""
    process = Process()
    with process.breaker._lock:
        assert process.call(Refused()).__class__ is Refused


def test_it_says_once_in_the_log_that_it_opened(caplog):
    process = Process(rules=RULES)
    process.fail()
    process.call()
    assert [record.message for record in caplog.records if "opened" in record.message] == [
        "The breaker of payments opened in this process: 4 of 4 calls failed within 30 s"
    ]

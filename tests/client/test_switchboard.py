"""The switchboard between the callers' threads and those that talk to Holdfast."""

import threading
from datetime import timedelta

import pytest

from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.breaker_rules import BreakerRules
from holdfast.domain.guidance import ServiceGuidance
from holdfast.domain.outcome import OutcomeBatch
from holdfast.errors import BreakerOpen
from tests.client.process import SERVICE, Process, Refused

HALF_OPEN, CLOSED, OPEN = BreakerStatus.HALF_OPEN, BreakerStatus.CLOSED, BreakerStatus.OPEN
MANY = BreakerRules(minimum_calls=1000)


def test_outcomes_are_the_sums_since_the_last_taking():
    process = Process(rules=MANY)
    process.call()
    process.fail(2)
    [outcomes] = process.told().outcomes
    assert (outcomes.service, outcomes.epoch) == (SERVICE, process.epoch)
    assert (outcomes.calls, outcomes.failures) == (3, 2)
    assert process.told() is None
    process.call()
    assert process.sums() == (1, 0, 0)


def test_a_process_that_trips_alone_tells_why():
    """What it counted until then is the fleet's to judge."""
    process = Process()
    process.fail(4)
    assert process.status is OPEN
    assert process.sums() == (4, 4, 0)


def test_what_was_counted_in_an_earlier_epoch_is_not_told():
    process = Process(rules=MANY)
    process.fail(3)
    process.hear(OPEN)
    process.hear(CLOSED)
    process.call()
    [outcomes] = process.told().outcomes
    assert (outcomes.epoch, outcomes.calls) == (process.epoch, 1)


def test_what_could_not_be_sent_is_told_with_the_next():
    process = Process(rules=MANY)
    process.fail(1)
    process.switchboard.give_back(process.told())
    process.call()
    assert process.sums() == (2, 1, 0)


def test_what_could_not_be_sent_for_five_seconds_is_dropped():
    """Each outcome by its own age, however often it was taken and given back."""
    process = Process(rules=MANY)
    process.fail(1)
    process.switchboard.give_back(process.told())
    process.wait(seconds=3)
    process.call()
    process.switchboard.give_back(process.told())
    process.wait(seconds=3)
    assert process.sums() == (1, 0, 0)


def test_only_the_last_batch_can_be_given_back():
    """One that was sent must not be told twice."""
    process = Process(rules=MANY)
    process.fail(1)
    sent = process.told()
    process.call()
    process.told()
    process.switchboard.give_back(sent)
    assert process.told() is None


def test_more_services_than_a_batch_holds_are_told_with_the_next():
    process = Process(heard=False)
    for number in range(1001):
        breaker = process.switchboard.breaker(f"service-{number}")
        breaker.settle(breaker.admit(), breaker.judge(Refused()), took=0.0)
    assert [len(process.told().outcomes) for _ in range(2)] == [1000, 1]


def test_a_service_that_a_snapshot_leaves_out_is_unknown():
    process = Process(rules=BreakerRules(minimum_calls=1))
    process.hear(OPEN)
    process.switchboard.heard([], whole=True)
    assert process.call() == "answer"
    process.fail(5)
    assert process.status is CLOSED


def test_what_is_heard_before_a_breaker_is_used_holds_for_it():
    process = Process()
    process.hear(OPEN, service="stock")
    with pytest.raises(BreakerOpen):
        process.switchboard.breaker("stock").admit()


def test_the_first_use_is_told_once():
    """That is when threads start: at a guarded call, a feature or a subscription."""
    process = Process()
    process.switchboard.breaker("stock")
    assert process.uses == 0
    process.call()
    process.switchboard.feature("hd", default=True, service=None)
    process.switchboard.subscribe(print)
    process.switchboard.breaker("stock").admit()
    assert process.uses == 1


@pytest.mark.parametrize("use", ["feature", "subscription"])
def test_features_and_subscriptions_are_uses_too(use):
    process = Process(heard=False)
    if use == "feature":
        process.switchboard.feature("hd", default=True, service=None)
    else:
        process.switchboard.subscribe(print)
    assert process.uses == 1


def test_a_subscriber_hears_of_each_change_until_it_ends():
    process = Process()
    heard = []
    unsubscribe = process.switchboard.subscribe(heard.append)
    process.hear(OPEN)
    process.hear(OPEN, epoch=process.epoch)
    assert [(each.service, each.breaker.status) for each in heard] == [(SERVICE, OPEN)]
    process.switchboard.heard([], whole=True)
    assert heard[1:] == [ServiceGuidance(service=SERVICE)]
    unsubscribe()
    unsubscribe()
    process.hear(CLOSED)
    assert len(heard) == 2


def test_a_subscriber_that_fails_takes_nothing_from_the_others(caplog):
    process = Process()
    heard = []
    process.switchboard.subscribe(lambda _: 1 / 0)
    process.switchboard.subscribe(heard.append)
    process.hear(OPEN)
    assert len(heard) == 1
    assert process.rejects()
    assert "subscriber" in caplog.text


def test_a_forked_process_tells_only_of_its_own_calls():
    process = Process(rules=MANY)
    process.fail(3)
    process.switchboard.give_back(process.told())
    process.fail(1)
    process.switchboard.after_fork("child")
    process.call()
    batch = process.told()
    assert batch == OutcomeBatch(reporter="child", outcomes=batch.outcomes)
    assert batch.outcomes[0].calls == 1
    assert process.uses == 2


def test_a_forked_process_goes_on_though_a_lock_was_held():
    """A thread of the parent's may hold any lock at the moment of the fork, for good."""
    process = Process()
    process.call()
    held, done = threading.Event(), threading.Event()

    def hold():
        with process.switchboard._lock, process.breaker._lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        process.switchboard.after_fork("child")
        assert process.call() == "answer"
        assert process.sums() == (1, 0, 0)
        assert not done.is_set()
    finally:
        done.set()
        thread.join()


def test_leases_and_probes_stay_with_the_parent():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    process.lease()
    process.switchboard.after_fork("child")
    assert process.rejects()
    [(_, request)] = process.switchboard.wanted_leases()
    assert request.reporter == "child"


def test_when_it_is_off_every_call_passes_and_nothing_is_counted():
    process = Process(off=True, heard=False)
    process.fail(100)
    process.clock.advance(timedelta(days=1))
    assert process.call() == "answer"
    assert process.told() is None

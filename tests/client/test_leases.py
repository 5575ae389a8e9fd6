"""Leases: how a process comes by the fleet's right to make a probe call, and what it tells."""

from datetime import timedelta

import pytest

from holdfast.domain.breaker import BreakerStatus
from tests.client.process import SERVICE, Process, Refused

HALF_OPEN, OPEN = BreakerStatus.HALF_OPEN, BreakerStatus.OPEN


def test_a_call_that_could_be_a_probe_asks_for_a_lease():
    process = Process()
    process.hear(HALF_OPEN)
    assert process.rejects()
    assert process.urgent == 1
    [(service, request)] = process.switchboard.wanted_leases()
    assert (service, request.reporter, request.epoch) == (SERVICE, "me", process.epoch)


def test_a_lease_is_asked_for_once_and_again_only_after_a_second():
    process = Process(drawn=0.5)
    process.hear(HALF_OPEN)
    for _ in range(3):
        assert process.rejects()
    assert len(process.switchboard.wanted_leases()) == 1
    assert process.rejects()
    assert process.switchboard.wanted_leases() == []
    assert process.urgent == 1
    process.wait(seconds=1)
    assert process.rejects()
    assert len(process.switchboard.wanted_leases()) == 1


def test_with_a_lease_the_next_call_is_the_probe_and_its_result_is_urgent():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    [(service, request)] = process.switchboard.wanted_leases()
    process.switchboard.lease_answered(service, request, timedelta(seconds=10))
    assert process.call() == "answer"
    assert process.urgent == 2
    [result] = process.told().probes
    assert (result.lease_id, result.epoch, result.passed) == (
        request.lease_id,
        process.epoch,
        True,
    )
    assert process.rejects()


def test_a_lease_whose_answer_was_lost_is_asked_for_again():
    """Under its name, so that the fleet gives the same one; after it was granted, another."""
    process = Process()
    process.hear(HALF_OPEN)
    asked = []
    for _ in range(3):
        process.wait(seconds=2)
        assert process.rejects()
        asked += process.switchboard.wanted_leases()
    assert len({request.lease_id for _, request in asked}) == 1
    process.switchboard.lease_answered(*asked[-1], timedelta(seconds=10))
    process.call()
    process.rejects()
    [(_, request)] = process.switchboard.wanted_leases()
    assert request.lease_id != asked[-1][1].lease_id


def test_a_lease_is_good_for_one_call():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    process.lease()
    admitted = process.breaker.admit()
    assert process.rejects()
    process.breaker.settle(admitted, process.breaker.judge(Refused()), took=0.0)
    assert [result.passed for result in process.told().probes] == [False]


def test_after_a_lease_that_was_granted_the_next_may_be_asked_for_at_once():
    """One process alone must be able to make all the probes that the rules ask for."""
    process = Process()
    process.hear(HALF_OPEN)
    for _ in range(3):
        assert process.rejects()
        assert process.lease() == 1
        assert process.call() == "answer"


def test_a_cancelled_probe_of_the_fleet_s_leaves_its_lease_to_the_next_call():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    process.lease()
    with pytest.raises(KeyboardInterrupt):
        process.call(KeyboardInterrupt())
    assert process.told() is None
    assert process.call() == "answer"
    assert len(process.told().probes) == 1


def test_a_lease_that_expired_is_no_longer_used():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    process.lease(seconds=10)
    process.wait(seconds=10)
    assert process.rejects()


def test_a_lease_of_an_earlier_epoch_is_worth_nothing():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    [(service, request)] = process.switchboard.wanted_leases()
    process.hear(OPEN)
    process.hear(HALF_OPEN)
    process.switchboard.lease_answered(service, request, timedelta(seconds=10))
    assert process.rejects()


def test_a_probe_of_an_earlier_epoch_is_not_told():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    process.lease()
    late = process.breaker.admit()
    process.hear(OPEN)
    process.breaker.settle(late, process.breaker.judge(Refused()), took=0.0)
    assert process.told() is None


def test_a_refused_lease_changes_nothing():
    process = Process()
    process.hear(HALF_OPEN)
    process.rejects()
    [(service, request)] = process.switchboard.wanted_leases()
    process.switchboard.lease_answered(service, request, None)
    assert process.rejects()

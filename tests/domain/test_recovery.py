"""One action at a time on a service, shared by equal requests, within a limit."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import ValidationError

from holdfast.domain.action import HealthCheck, HttpAction
from holdfast.domain.recovery import (
    RecoveryLimit,
    RecoveryRequest,
    RecoveryResult,
    RecoveryState,
    RecoveryStatus,
    TicketStatus,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
DONE = RecoveryResult(status="succeeded", reason="done")
FAILED = RecoveryResult(status="failed", reason="no")
LIMIT = RecoveryLimit(actions=2, within=timedelta(minutes=10))


def request(request_id, name="restart", *, host="a", manual=False, **fields):
    fields = {"limit": LIMIT, "action": HttpAction(url=f"http://{host}.example")} | fields
    return RecoveryRequest(
        id=request_id, service="channels", action_name=name, manual=manual, **fields
    )


def waiting_for_health(request_id):
    check = HealthCheck(url="http://a.example/health")
    return request(request_id, "retry", action=None, health=check)


def idle():
    return RecoveryState(service="channels")


def with_requests(state, *requests):
    for each in requests:
        state, _ = state.requested(each)
    return state


def carried_out(state, *, at=START, result=DONE):
    """Take the next run and end it, with its refusal if it is refused."""
    state, refusal = state.taken(at)
    return state.finished(refusal or result, at=at)


class Recovering(RuleBasedStateMachine):
    """Requests come while runs are taken and ended, beside a list of what was promised."""

    @initialize()
    def start(self):
        self.state = idle()
        self.now = START
        self.requested = {}
        self.outcomes = []
        self.acted = []

    @rule(
        number=st.integers(0, 30),
        name=st.sampled_from(["restart", "fallback"]),
        host=st.sampled_from("ab"),
        manual=st.booleans(),
        acts=st.booleans(),
    )
    def ask(self, number, name, host, manual, acts):
        asked = request(f"r{number}", name, host=host, manual=manual)
        if not acts:
            asked = waiting_for_health(asked.id)
        asked = self.requested.get(asked.id, asked)
        known = [outcome.request_id for outcome in self.outcomes]
        waiting = [run.request.key for run in self._runs()]
        before = self.state
        self.state, ticket = self.state.requested(asked)
        if asked.id in known:
            assert ticket.status is TicketStatus.KNOWN
            assert self.state is before
        elif asked.key in waiting:
            assert ticket.status is TicketStatus.SHARED
            assert ticket.ahead == waiting.index(asked.key)
        else:
            assert ticket.status is TicketStatus.QUEUED
            assert ticket.ahead == len(waiting)
        self.requested[asked.id] = asked

    def _runs(self):
        return [run for run in (self.state.running, *self.state.queue) if run]

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.state.queue and not self.state.running)
    @rule()
    def take(self):
        first = self.state.queue[0]
        self.state, refusal = self.state.taken(self.now)
        assert self.state.running.id == first.id
        recent = [at for at in self.acted if at > self.now - LIMIT.within]
        over = bool(first.request.action) and not first.manual and len(recent) >= LIMIT.actions
        assert (refusal is not None) is over
        if refusal:
            assert refusal.status is RecoveryStatus.REFUSED
            self._end(refusal)
        elif first.request.action:
            self.acted.append(self.now)

    @precondition(lambda self: self.state.running)
    @rule(result=st.sampled_from([DONE, FAILED]))
    def end(self, result):
        self._end(result)

    def _end(self, result):
        expected = [each.id for each in self.state.running.requests]
        self.state, run, outcomes = self.state.finished(result, at=self.now)
        assert [each.request_id for each in outcomes] == expected
        assert [each.shared for each in outcomes] == [False] + [True] * (len(expected) - 1)
        assert {each.status for each in outcomes} == {result.status}
        assert run.id == expected[0]
        self.outcomes += outcomes

    @invariant()
    def every_request_is_waiting_or_has_exactly_one_outcome(self):
        waiting = [each.id for run in self._runs() for each in run.requests]
        answered = [outcome.request_id for outcome in self.outcomes]
        assert sorted(waiting + answered) == sorted(self.requested)

    @invariant()
    def equal_requests_share_one_run(self):
        keys = [run.request.key for run in self._runs()]
        assert len(keys) == len(set(keys))
        assert all(each.key == run.request.key for run in self._runs() for each in run.requests)

    @invariant()
    def a_service_survives_a_restart(self):
        assert RecoveryState.model_validate_json(self.state.model_dump_json()) == self.state
        assert self.state.idle is (not self._runs())


TestRecovering = Recovering.TestCase


def test_nothing_is_taken_while_something_runs():
    """Two actions at once on one service could undo each other."""
    state, _ = with_requests(idle(), request("a"), request("b", "fallback")).taken(START)
    with pytest.raises(ValueError, match="runs already"):
        state.taken(START)


def test_nothing_is_taken_from_an_empty_queue():
    """The caller asks first whether something waits."""
    with pytest.raises(ValueError, match="nothing waits"):
        idle().taken(START)


def test_nothing_is_ended_while_nothing_runs():
    """A result without a run would be somebody else's."""
    with pytest.raises(ValueError, match="nothing runs"):
        idle().finished(DONE, at=START)


def test_asking_twice_with_one_id_is_asking_once():
    """Even when the second time asks for something else: the id decides."""
    state = with_requests(idle(), request("a"), request("a", "fallback"))
    assert [run.id for run in state.queue] == ["a"]
    assert len(state.queue[0].requests) == 1


def test_a_request_joins_a_run_that_is_under_way():
    """A restart that has just begun serves whoever asks for it now."""
    state, _ = with_requests(idle(), request("a")).taken(START)
    state, ticket = state.requested(request("b"))
    assert (ticket.status, ticket.run_id) == (TicketStatus.SHARED, "a")
    _, _, outcomes = state.finished(DONE, at=START)
    assert [each.request_id for each in outcomes] == ["a", "b"]


def test_the_limit_refuses_and_says_when_it_ends():
    """Two in ten minutes: the third waits until the first is ten minutes past."""
    state = idle()
    for minute in (0, 4):
        state = with_requests(state, request(f"r{minute}"))
        state, *_ = carried_out(state, at=START + timedelta(minutes=minute))
    at = START + timedelta(minutes=9)
    _, refusal = with_requests(state, request("third")).taken(at)
    assert refusal.status is RecoveryStatus.REFUSED
    assert "2026-03-01T00:10:00" in refusal.reason
    _, refusal = with_requests(state, request("third")).taken(START + timedelta(minutes=10))
    assert refusal is None


def test_a_person_passes_the_limit_and_counts():
    """Somebody who looks knows more than the limit, and has used up what it allows."""
    state = idle()
    for name in "ab":
        state, *_ = carried_out(with_requests(state, request(name, manual=True)))
    state, _, (outcome,) = carried_out(with_requests(state, request("c", manual=True)))
    assert outcome.status is RecoveryStatus.SUCCEEDED
    _, refusal = with_requests(state, request("d")).taken(START)
    assert refusal


def test_an_automatic_request_passes_with_a_person_who_asks_for_the_same():
    """They share the run."""
    state = idle()
    for name in "ab":
        state, *_ = carried_out(with_requests(state, request(name)))
    state = with_requests(state, request("c"), request("d", manual=True))
    _, _, outcomes = carried_out(state)
    assert {each.status for each in outcomes} == {RecoveryStatus.SUCCEEDED}


def test_waiting_for_health_neither_counts_nor_is_limited():
    """It touches nothing, so it cannot become a storm; nor does it forget what did."""
    state = idle()
    for number in range(5):
        state, *_ = carried_out(with_requests(state, waiting_for_health(f"w{number}")))
    assert state.acted_at == ()
    state, *_ = carried_out(with_requests(state, request("a")))
    short = RecoveryLimit(actions=1, within=timedelta(seconds=1))
    health = waiting_for_health("w").model_copy(update={"limit": short})
    state, *_ = carried_out(with_requests(state, health), at=START + timedelta(minutes=1))
    assert state.acted_at == (START,)


@pytest.mark.parametrize(
    ("steps", "on_fallback"),
    [
        ([("fallback", DONE)], True),
        ([("fallback", FAILED)], False),
        ([("fallback", DONE), ("restart", DONE)], True),
        ([("fallback", DONE), ("restore", FAILED)], True),
        ([("fallback", DONE), ("restore", DONE)], False),
    ],
)
def test_a_service_is_on_its_fallback_until_restored(steps, on_fallback):
    """Only what succeeded changes it."""
    state = idle()
    for number, (name, result) in enumerate(steps):
        limit = RecoveryLimit(actions=9)
        state = with_requests(state, request(f"r{number}", name, limit=limit))
        state, *_ = carried_out(state, result=result)
    assert (state.fallback_since is not None) is on_fallback


def test_a_second_fallback_keeps_the_first_ones_time():
    """Since when, not when last."""
    state, *_ = carried_out(with_requests(idle(), request("a", "fallback")))
    state, *_ = carried_out(with_requests(state, request("b", "fallback")), at=START + LIMIT.within)
    assert state.fallback_since == START


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"manual": True, "actor": "ann", "incident_id": "i"}, True),
        ({"name": "fallback"}, False),
        ({"host": "b"}, False),
        ({"health": HealthCheck(url="http://a.example")}, False),
        ({"action": None}, False),
    ],
)
def test_requests_are_equal_when_they_ask_for_the_same(other, same):
    """Who asks, and why, does not matter."""
    assert (request("a").key == request("b", **other).key) is same


@pytest.mark.parametrize("wrong", [{"actions": 0}, {"within": 5}])
def test_a_limit_is_at_least_one_action(wrong):
    """A service that may never be recovered has no actions instead."""
    with pytest.raises(ValidationError):
        RecoveryLimit.model_validate(wrong)

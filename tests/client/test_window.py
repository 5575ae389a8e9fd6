"""The rolling window, against a list of every call."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from holdfast.client.window import FEWEST_BUCKETS, WIDEST_BUCKET, Window
from holdfast.domain.breaker_rules import BreakerRules

CALLS = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.booleans(),
        st.booleans(),
    ),
    max_size=200,
)
WINDOWS = st.integers(1, 30)


def made(calls, *, window, newest=None):
    """A window with these calls in it, as a guard would count them, and when each was over."""
    rules = BreakerRules(window=timedelta(seconds=window), window_calls=newest, minimum_calls=1)
    counted = Window(rules, epoch=0, at=0.0)
    at, ended = 0.0, []
    for pause, failed, slow in calls:
        at += pause
        ended.append((at, failed, slow))
        if at < counted.edge and not failed and not slow:
            counted.count()
        else:
            counted.note(failed=failed, slow=slow, at=at)
    return counted, at, ended


def sums(ended, *, since):
    recent = [each for each in ended if each[0] > since]
    return len(recent), sum(each[1] for each in recent), sum(each[2] for each in recent)


@given(CALLS, WINDOWS, st.floats(0, 40))
def test_it_holds_every_call_of_the_window_and_none_much_older(calls, window, later):
    """The oldest bucket leaves as a whole, so that a call may stay a bucket longer."""
    counted, at, ended = made(calls, window=window)
    now = at + later
    bucket = min(WIDEST_BUCKET, window / FEWEST_BUCKETS)
    strict = sums(ended, since=now - window)
    loose = sums(ended, since=now - window - bucket - 1e-9)
    found = counted.sums(now)
    assert all(low <= each <= high for low, each, high in zip(strict, found, loose, strict=True))


@given(CALLS, st.integers(1, 50))
def test_of_a_count_window_it_holds_no_fewer_than_the_latest(calls, newest):
    """More only as far as calls shared a bucket with them."""
    counted, at, ended = made(calls, window=600, newest=newest)
    found = counted.sums(at)
    assert found.calls >= min(newest, len(ended))
    if found.calls > newest:
        oldest = ended[-newest][0]
        assert ended[-found.calls][0] >= oldest - WIDEST_BUCKET - 1e-9


@given(st.lists(CALLS, max_size=10), WINDOWS)
def test_what_is_taken_adds_up_to_every_call(batches, window):
    """Whatever left the window meanwhile, each call is told once."""
    counted = Window(BreakerRules(window=timedelta(seconds=window)), epoch=0, at=0.0)
    at, taken, made_calls = 0.0, [], 0
    for calls in batches:
        for pause, failed, slow in calls:
            at += pause
            made_calls += 1
            if at < counted.edge and not failed and not slow:
                counted.count()
            else:
                counted.note(failed=failed, slow=slow, at=at)
            counted.sums(at)
        taken.append(counted.take())
    failures = sum(failed for calls in batches for _, failed, _ in calls)
    assert sum(each.calls for each in taken) == made_calls
    assert sum(each.failures for each in taken) == failures


def test_a_clock_at_a_standstill_counts_on():
    counted = Window(BreakerRules(), epoch=0, at=5.0)
    for _ in range(1000):
        counted.note(failed=True, slow=False, at=5.0)
        counted.count()
    assert counted.sums(5.0) == (2000, 1000, 0)


def test_it_does_not_grow_without_end():
    counted = Window(BreakerRules(window=timedelta(seconds=1)), epoch=0, at=0.0)
    for second in range(1000):
        counted.note(failed=False, slow=False, at=float(second))
    assert len(counted._marks) < 2 * FEWEST_BUCKETS

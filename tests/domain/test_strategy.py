"""The steps of a strategy and the delays between their attempts."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.strategy import STRATEGIES, Backoff, Step, StepKind

LENGTH = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))
DRAWN = st.floats(0, 1, exclude_max=True)
BACKOFF = st.builds(
    Backoff,
    initial=LENGTH,
    factor=st.floats(1, 10),
    maximum=LENGTH,
    jitter=st.floats(0, 1),
)


@given(BACKOFF, st.integers(1, 10_000), DRAWN)
def test_a_delay_stays_within_its_bounds(backoff, retry, drawn):
    """Never negative, never longer than the maximum and its jitter."""
    longest = backoff.maximum * (1 + backoff.jitter) + timedelta(microseconds=1)
    assert timedelta(0) <= backoff.delay(retry, drawn=drawn) <= longest


@given(BACKOFF, st.integers(1, 1000), DRAWN)
def test_delays_never_shrink(backoff, retry, drawn):
    """The longer something fails, the less often it is tried."""
    assert backoff.delay(retry, drawn=drawn) <= backoff.delay(retry + 1, drawn=drawn)


@given(BACKOFF, st.integers(1, 1000), DRAWN, DRAWN)
def test_jitter_grows_with_what_was_drawn(backoff, retry, one, other):
    """What is drawn evenly spreads evenly."""
    low, high = sorted((one, other))
    assert backoff.delay(retry, drawn=low) <= backoff.delay(retry, drawn=high)


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [(0.0, [0.8, 1.6, 3.2, 4.0]), (0.5, [1, 2, 4, 5]), (0.75, [1.1, 2.2, 4.4, 5.5])],
)
def test_delays_double_up_to_the_maximum(drawn, expected):
    """The documented default, with a maximum of five seconds."""
    backoff = Backoff(maximum=timedelta(seconds=5))
    delays = [backoff.delay(retry, drawn=drawn).total_seconds() for retry in range(1, 5)]
    assert delays == pytest.approx(expected)


@given(st.integers(1, 1000), DRAWN)
def test_without_jitter_what_was_drawn_does_not_matter(retry, drawn):
    """A delay can be made exact."""
    backoff = Backoff(jitter=0)
    assert backoff.delay(retry, drawn=drawn) == backoff.delay(retry, drawn=0)


@pytest.mark.parametrize(
    "wrong", [{"factor": 0.9}, {"factor": 11}, {"jitter": -0.1}, {"jitter": 1.1}, {"initial": 5}]
)
def test_a_backoff_that_would_shrink_or_explode_is_refused(wrong):
    """Its factor is 1 to 10 and its jitter 0 to 1."""
    with pytest.raises(ValidationError):
        Backoff.model_validate(wrong)


def test_a_step_asks_for_the_action_of_its_name_unless_given_another():
    """``restart`` calls the service's ``restart``."""
    assert Step(step="restart").action_name == "restart"
    assert Step(step="restart", action="restart-hard").action_name == "restart-hard"


def test_a_run_workflow_step_must_name_its_action():
    """No action is called run_workflow."""
    with pytest.raises(ValidationError, match="names the service's action"):
        Step(step="run_workflow")
    assert Step(step="run_workflow", action="rebuild").action_name == "rebuild"


def test_some_steps_ask_the_service_and_some_do_not():
    """Only these four need an action."""
    using = {kind for kind in StepKind if kind.uses_action}
    assert using == {StepKind.RETRY, StepKind.RESTART, StepKind.FALLBACK, StepKind.RUN_WORKFLOW}


@pytest.mark.parametrize("category", STRATEGIES)
def test_built_in_strategies_do_something(category):
    """No category is left without a step."""
    assert STRATEGIES[category]

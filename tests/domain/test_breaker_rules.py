"""The rules of a breaker: what counts as a failed call, and what can be asked of one."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from holdfast.domain.breaker_rules import BreakerRules

TIMEOUT = ("httpx.ReadTimeout", "httpx.TimeoutException", "httpx.TransportError", "Exception")


@pytest.mark.parametrize(
    ("rules", "counted"),
    [
        ({}, True),
        ({"ignore": ("httpx.TimeoutException",)}, False),
        ({"ignore": ("TimeoutException",)}, False),
        ({"ignore": ("requests.TimeoutException",)}, True),
        ({"ignore": ("ValueError",)}, True),
        ({"count_only": ("TransportError",)}, True),
        ({"count_only": ("ConnectionError",)}, False),
        ({"count_only": ("TransportError",), "ignore": ("ReadTimeout",)}, False),
    ],
)
def test_an_exception_counts_by_its_class_and_base_classes(rules, counted):
    """What is ignored does not count even if it is named; a bare name means any such class."""
    assert BreakerRules(**rules).counts(TIMEOUT) is counted


def test_a_class_within_a_function_goes_by_its_last_name():
    """Python calls it ``app.pay.<locals>.Refused``."""
    rules = BreakerRules(ignore=("Refused",))
    assert not rules.counts(["app.pay.<locals>.Refused", "Exception"])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"window_calls": 10}, "it would never open"),
        ({"ramp": (0.5, 0.25)}, "each share lets more traffic through"),
        ({"ramp": (0.5, 0.5)}, "each share lets more traffic through"),
        ({"ramp": (0.0,)}, "greater than 0"),
        ({"failure_rate": 1.5}, "less than or equal to 1"),
        ({"lease_for": "1m"}, "less than or equal to 30 seconds"),
        ({"slow_after": "0s"}, "greater than 0 seconds"),
        ({"ignore": ("no such.name",)}, "String should match"),
        ({"ignore": ("dots..twice",)}, "String should match"),
    ],
)
def test_rules_by_which_no_breaker_could_go_are_refused(fields, problem):
    """Whoever writes them learns it at once, not during an outage."""
    with pytest.raises(ValidationError, match=problem):
        BreakerRules(**fields)


def test_a_process_that_decides_alone_soon_asks_the_fleet_again():
    """Always ten seconds, however often it opened."""
    rules = BreakerRules(failure_rate=0.9, leases=7).local
    lengths = {rules.open_for.delay(trips, drawn=0.99) for trips in (1, 2, 30)}
    assert lengths == {timedelta(seconds=10)}
    assert (rules.failure_rate, rules.leases) == (0.9, 7)


def test_rules_survive_being_sent():
    """They travel in messages and events."""
    rules = BreakerRules(window_calls=100, slow_after="2s", count_only=("OSError",))
    assert BreakerRules.model_validate_json(rules.model_dump_json()) == rules

"""Which incidents a silence is about, and when it is over."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from holdfast.domain.silence import Matcher, Silence

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
INCIDENT = {"service": "channels", "category": "network", "labels": {"region": "eu-west"}}


def a_silence(**fields):
    values = {
        "id": "s1",
        "starts_at": NOW,
        "ends_at": NOW + HOUR,
        "created_by": "ada",
        "reason": "the disks are being replaced",
        "created_at": NOW,
    }
    return Silence.model_validate(values | fields)


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"service": ["channels"]},
        {"service": ["billing", "chan*"]},
        {"category": ["database", "network"]},
        {"labels": {"region": "eu-*"}},
        {"service": ["*"], "category": ["network"], "labels": {"region": "eu-west"}},
    ],
)
def test_all_that_is_given_has_to_hold_and_of_a_list_any(match):
    assert Matcher.model_validate(match).fits(**INCIDENT)


@pytest.mark.parametrize(
    "match",
    [
        {"service": ["channel"]},
        {"service": ["Channels"]},
        {"category": ["database"]},
        {"labels": {"region": "us-*"}},
        {"labels": {"zone": "*"}},
        {"service": ["channels"], "category": ["database"]},
    ],
)
def test_one_thing_that_does_not_hold_is_enough_to_be_left_alone(match):
    assert not Matcher.model_validate(match).fits(**INCIDENT)


def test_it_says_what_it_is_about():
    match = {"service": ["a", "b"], "category": ["network"], "labels": {"region": "eu"}}
    assert str(Matcher.model_validate(match)) == "service a or b, category network, region=eu"
    assert str(Matcher()) == "everything"
    assert Matcher().is_empty
    assert not Matcher(labels={"region": "eu"}).is_empty


@pytest.mark.parametrize("length", [timedelta(0), -HOUR, timedelta(days=366, seconds=1)])
def test_it_ends_after_it_starts_and_within_a_year(length):
    with pytest.raises(ValidationError, match="ends_at"):
        a_silence(ends_at=NOW + length)


def test_it_is_over_once_its_last_time_has_ended_or_somebody_ended_it():
    assert not a_silence().is_over(NOW + 1000 * HOUR)
    assert not a_silence(over_at=NOW + HOUR).is_over(NOW)
    assert a_silence(over_at=NOW + HOUR).is_over(NOW + HOUR)
    assert a_silence(ended_at=NOW, ended_by="ada").is_over(NOW)

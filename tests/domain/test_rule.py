"""What a rule asks of a report."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.report import Report
from holdfast.domain.rule import Match, as_text, error_types, http_status, look_up


def reported(error_type="Oops", message="it failed", **fields):
    return Report(service="channels", error_type=error_type, message=message, **fields)


REPORT = reported(
    "shop.PaymentRefused",
    "Card DECLINED by bank",
    error_bases=["shop.PaymentError", "Exception"],
    context={"shop": {"region": "eu-1"}, "live": True, "tries": 3, "status": 502},
    labels={"team": "billing"},
)


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({}, True),
        ({"service": ["channels"]}, True),
        ({"service": ["chan*"]}, True),
        ({"service": ["other", "channels"]}, True),
        ({"service": ["other"]}, False),
        ({"error_type": ["shop.PaymentRefused"]}, True),
        ({"error_type": ["PaymentRefused"]}, True),
        ({"error_type": ["PaymentError"]}, True),
        ({"error_type": ["shop.*"]}, True),
        ({"error_type": ["*Refused"]}, True),
        ({"error_type": ["paymentrefused"]}, False),
        ({"error_type": ["Payment"]}, False),
        ({"message": "declined"}, True),
        ({"message": "^declined"}, False),
        ({"message": "card|bank"}, True),
        ({"context": {"shop.region": "eu-*"}}, True),
        ({"context": {"shop.region": "us-*"}}, False),
        ({"context": {"shop.city": "*"}}, False),
        ({"context": {"live": "true"}}, True),
        ({"context": {"tries": "3"}}, True),
        ({"labels": {"team": "bill*"}}, True),
        ({"labels": {"team": "ops"}}, False),
        ({"labels": {"owner": "*"}}, False),
        ({"status": "5xx"}, True),
        ({"status": [404, 502]}, True),
        ({"status": 404}, False),
        ({"service": ["channels"], "message": "nothing like it"}, False),
    ],
)
def test_all_that_is_asked_must_hold_and_any_of_a_list(asked, fits):
    """Narrowing adds a key, widening adds to a list."""
    assert Match.model_validate(asked).fits(REPORT) is fits


def test_a_pattern_that_is_no_regular_expression_is_refused():
    """It is said when the file is read, not when the first error comes."""
    with pytest.raises(ValidationError, match="expected a regular expression"):
        Match(message="(")


@pytest.mark.parametrize(
    ("error_type", "base"),
    [
        ("ConnectionRefusedError", "ConnectionError"),
        ("ConnectionRefusedError", "OSError"),
        ("ModuleNotFoundError", "ImportError"),
        ("UnicodeDecodeError", "ValueError"),
    ],
)
def test_pythons_own_errors_bring_their_base_classes(error_type, base):
    """A reporter need not send what every Python knows."""
    assert base in error_types(reported(error_type))


@pytest.mark.parametrize("error_type", ["print", "len", "__name__", "Ellipsis", "NoSuchError"])
def test_what_is_no_error_of_python_brings_none(error_type):
    """An error's type is text from elsewhere; it may be called like anything."""
    assert error_types(reported(error_type)) == [error_type]


def test_reported_base_classes_count_with_and_without_their_module():
    """Rules read best without modules, and are safest with them."""
    names = error_types(reported("a.b.C", error_bases=["d.E"]))
    assert names == ["a.b.C", "d.E", "C", "E"]


@pytest.mark.parametrize(
    ("context", "status"),
    [
        ({"status": 503}, 503),
        ({"http_status": "503"}, 503),
        ({"status_code": 404}, 404),
        ({"status": "failed", "status_code": 500}, 500),
        ({"status": True}, None),
        ({"status": "failed"}, None),
        ({"status": 7}, None),
        ({"status": 10**400}, None),
        ({"status": [503]}, None),
        ({"status": None}, None),
        ({}, None),
    ],
)
def test_a_status_is_read_where_services_put_it(context, status):
    """A number or digits; anything else under that name is not an HTTP status."""
    assert http_status(reported(context=context)) == status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
def test_any_status_can_be_asked_for(value):
    """Nothing that a report may hold makes classification itself fail."""
    report = Report.model_construct(context={"status": value})
    status = http_status(report)
    assert status is None or 100 <= status <= 599


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.text("ab.", max_size=6))
def test_looking_up_gives_what_is_there_or_nothing(mapping, path):
    """A path that leads nowhere is no error."""
    found = look_up(mapping, path)
    assert found is None or as_text(found) in as_text(mapping) or isinstance(found, str)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (True, "true"),
        (None, "null"),
        (3, "3"),
        (1.5, "1.5"),
        ({"ä": [1]}, '{"ä": [1]}'),
    ],
)
def test_values_read_as_text_the_way_json_writes_them(value, text):
    """A pattern for a truth value is ``true``, as in the report itself, not Python's ``True``."""
    assert as_text(value) == text
    assert as_text(math.nan) == "NaN"

"""Sets of HTTP statuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from holdfast.domain.status_codes import StatusCodes

CODES = TypeAdapter(StatusCodes)
CODE = st.integers(100, 599)


@pytest.mark.parametrize(
    ("written", "inside", "outside"),
    [
        (200, [200], [201, 500, None]),
        ("200", [200], [201]),
        ("2xx", [200, 204, 299], [199, 300, None]),
        (["2xx", 304, "5xx"], [200, 304, 503], [301, 404]),
        ([], [], [200, None]),
    ],
)
def test_codes_are_written_alone_or_as_a_list(written, inside, outside):
    """``2xx`` stands for its hundred; an empty set includes nothing."""
    codes = CODES.validate_python(written)
    assert all(codes.include(status) for status in inside)
    assert not any(codes.include(status) for status in outside)


@given(CODE, CODE)
def test_a_code_includes_itself_and_its_class_includes_its_hundred(one, other):
    """No code but its own is in a set of one."""
    assert StatusCodes(codes=(str(one),)).include(other) is (one == other)
    assert StatusCodes(codes=(f"{str(one)[0]}xx",)).include(other) is (one // 100 == other // 100)


@pytest.mark.parametrize(
    "wrong", ["6xx", "20", "2000", "ok", "2XX", 99, 600, -200, True, 2.5, None]
)
def test_what_is_no_status_is_refused(wrong):
    """A mistyped status would never be met, and the action never succeed."""
    with pytest.raises(ValidationError):
        CODES.validate_python(wrong)


@given(st.lists(st.one_of(CODE.map(str), st.sampled_from(["2xx", "5xx"])), max_size=4))
def test_codes_survive_a_message(written):
    """What is sent as JSON comes back as the same set."""
    codes = CODES.validate_python(written)
    assert CODES.validate_json(CODES.dump_json(codes)) == codes
    assert bool(codes) is bool(written)

"""Names that lead nowhere, or round in a circle."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.references import circles, did_you_mean


def found(**leads_to):
    return [" ".join(circle) for circle in circles(leads_to)]


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ({"a": "b", "b": ""}, []),
        ({"a": "b", "b": "nowhere"}, []),
        ({"a": "a"}, ["a a"]),
        ({"a": "aa"}, ["a a"]),
        ({"a": "b", "b": "a"}, ["a b a"]),
        ({"x": "c", "c": "a", "a": "b", "b": "c"}, ["c a b c"]),
        ({"a": "b", "b": "a", "c": "d", "d": "c"}, ["a b a", "c d c"]),
        ({"a": "bc", "b": "a", "c": "a"}, ["a b a", "a c a"]),
        ({"a": "b", "b": "ba"}, ["b b", "a b a"]),
    ],
)
def test_every_circle_is_found_once(ways, expected):
    """From the name that stands first."""
    assert sorted(found(**ways)) == sorted(expected)


def test_a_long_chain_is_no_circle():
    """As long as any file: nothing here goes as deep as it is long."""
    assert found(**{f"n{n}": [f"n{n + 1}"] for n in range(5000)}) == []


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.lists(NAMES, max_size=4)))
def test_a_circle_is_one(leads_to):
    """Each of its steps is there, and with all first steps gone there is none any more."""
    left = {name: set(others) for name, others in leads_to.items()}
    for circle in circles(leads_to):
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all(there in leads_to[here] for here, there in pairwise(circle))
        left[circle[0]].remove(circle[1])
    assert list(circles(left)) == []


def test_only_a_close_name_is_suggested():
    """A far one would mislead."""
    assert did_you_mean("slak", ["mail", "slack"]) == "; did you mean 'slack'?"
    assert did_you_mean("pager", ["mail", "slack"]) == ""

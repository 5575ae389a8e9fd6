"""YAML with the lines that everything came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.document import Document
from holdfast.errors import ConfigurationError

TEXT = """\
# a comment
base: &base
  one: 1
list:
  - a: x
  - {b: y, c: z}
  -
merged:
  <<: *base
  two: 2
nothing:
3: number
"""


def read(text):
    return Document.read(text, "holdfast.yaml")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("base",), 2),
        (("base", "one"), 3),
        (("list", 0), 5),
        (("list", 0, "a"), 5),
        (("list", 1, "c"), 6),
        (("list", 2), 7),
        (("merged", "two"), 10),
        (("merged", "one"), 3),
        (("nothing",), 11),
        ((3,), 12),
    ],
)
def test_every_part_knows_its_line(path, line):
    """What came from elsewhere is where it was written."""
    document = read(TEXT)
    assert document.holds(path)
    assert document.line(path) == line


@pytest.mark.parametrize(
    ("path", "line"), [(("base", "zero"), 2), (("nowhere", "at", "all"), 1), (("list", 9, "a"), 4)]
)
def test_what_is_missing_is_missed_where_it_should_be(path, line):
    """The line of the part that is there."""
    document = read(TEXT)
    assert not document.holds(path)
    assert document.line(path) == line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("FALSE", False),
        ("1:30", "1:30"),
        ("2026-03-01", "2026-03-01"),
        ("0755", "0755"),
        ("1_000", "1_000"),
        ("30", 30),
        ("-1", -1),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("~", None),
        ("null", None),
        ("'5'", "5"),
        ("1.2.3", "1.2.3"),
        (".", "."),
        ("e5", "e5"),
    ],
)
def test_plain_values_are_read_as_yaml_1_2_reads_them(text, value):
    """YAML 1.1 would take Norway for false and half past one for ninety."""
    found = read(f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\n\n"])
def test_an_empty_document_has_no_data(text):
    """Comments are nothing."""
    assert read(text).data is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\nb: 3\n", r"holdfast\.yaml:2:2: not YAML: while parsing a flow sequence"),
        ("a: b: c\n", r"holdfast\.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("a:\n\tb: 1\n", r"holdfast\.yaml:2:1: not YAML: .*; indent with spaces"),
        ("a: *none\n", r"holdfast\.yaml:1:4: not YAML: found undefined alias 'none'"),
        ("a: 1\n---\nb: 2\n", r"holdfast\.yaml:2:1: not YAML: .*single document"),
        ("a: !!python/object:os.system x\n", r"holdfast\.yaml:1:4: not YAML: .*constructor"),
        ("a: !mine x\n", r"holdfast\.yaml:1:4: not YAML: .*constructor"),
        ("? [a]\n: 1\n", r"holdfast\.yaml:1:3: not YAML: .*unhashable key"),
        ("a: 1\nb: \x07\n", r"holdfast\.yaml:2: holds the character U\+0007"),
    ],
)
def test_what_is_no_yaml_is_refused_with_line_and_column(text, message):
    """Nothing is ever made from a tag, least of all code."""
    with pytest.raises(ConfigurationError, match=message):
        read(text)


def test_keys_given_twice_are_refused_all_at_once():
    """YAML readers keep one of them and do not say which."""
    text = "a: 1\nb:\n  c: 1\n  c: 2\nd:\n  - {e: 1, e: 2}\na: 2\n"
    with pytest.raises(ConfigurationError) as refusal:
        read(text)
    assert str(refusal.value).splitlines() == [
        "holdfast.yaml:4: b.c: given a second time; line 3 has it already",
        "holdfast.yaml:6: d.0.e: given a second time; line 6 has it already",
        "holdfast.yaml:7: a: given a second time; line 1 has it already",
    ]


def test_a_merged_key_may_be_given_anew():
    """That is what merging is for."""
    text = "base: &base {a: 1}\nmine:\n  <<: *base\n  a: 2\n"
    document = read(text)
    assert document.data["mine"] == {"a": 2}
    assert document.line(("mine", "a")) == 4


def test_a_document_that_holds_itself_is_read():
    """It will not pass as a policy; reading it must end."""
    assert read("a: &a\n  b: *a\n").line(("a", "b", "b")) == 2


@given(st.text("ab:-[]{}&*#!|>'\"%@ \n\t\x07é,?0~", max_size=40))
def test_any_text_is_read_or_refused(text):
    """No text makes the reading itself fail."""
    try:
        read(text)
    except ConfigurationError as refusal:
        assert str(refusal).startswith("holdfast.yaml:")  # noqa: PT017 - either outcome is right

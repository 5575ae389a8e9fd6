"""When two reports are the same error."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.domain.report import Report, fingerprint, normalise


def reported(message="it failed", **fields):
    fields = {"service": "channels", "error_type": "Oops"} | fields
    return Report(message=message, **fields)


def key(message="it failed", **fields):
    return fingerprint(reported(message, **fields))


NUMBER = st.one_of(st.integers(-(10**12), 10**12), st.floats(-1e9, 1e9)).map(str)
UUID = st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper())
HEX = st.from_regex(r"[0-9a-f]{7,39}[0-9]", fullmatch=True)
QUOTED = st.text(
    st.characters(exclude_characters="'\"\r\n", exclude_categories=["C", "Z"]), max_size=50
)
ADDRESS = st.ip_addresses(v=4).map(str)
TIME = st.datetimes().map(lambda at: at.isoformat(timespec="milliseconds") + "Z")

VARYING = {
    "channel {} is down after 3 tries": NUMBER,
    "request {} failed": UUID,
    "commit {} is broken": HEX,
    "object at 0x{} died": st.from_regex(r"[0-9a-f]{6,16}", fullmatch=True),
    "no channel called '{}'": QUOTED,
    "can't find channel '{}', isn't it there": QUOTED,
    'no channel called "{}"': QUOTED,
    "cannot reach {}": ADDRESS,
    "nothing since {}": TIME,
    "no user {}@example.org": st.from_regex(r"[a-z]{1,20}", fullmatch=True),
}


@pytest.mark.parametrize("message", VARYING)
@given(st.data())
def test_what_varies_does_not_make_a_new_error(message, data):
    """Numbers, ids, addresses, times and quoted values differ from one telling to the next."""
    one, other = data.draw(VARYING[message]), data.draw(VARYING[message])
    assert key(message.format(one)) == key(message.format(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("disk\n  is   full", "disk is full"),
        ("Disk is full", "disk IS full"),
        ("took 1.5e-05 s", "took 2 s"),
        ("can't open 'O'Brien' now", "can't open 'Smith' now"),
        ("id 12345678 died", "id 1234567 died"),
        ("id 1234abcd died", "id 12345678 died"),
        ("id-1234abcd died", "id-12345678 died"),
    ],
)
def test_spelling_does_not_make_a_new_error(one, other):
    """White space, case and the way in which a number is written say nothing."""
    assert key(one) == key(other)


WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)


@given(WORDS, WORDS)
def test_words_make_a_new_error(one, other):
    """What isn't masked tells errors apart."""
    assume(one != other)
    assert key(f"the {one} failed") != key(f"the {other} failed")


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=50))
def test_the_same_message_of_another_service_or_type_is_another_error(message):
    """Service and type are part of what an error is."""
    keys = {
        key(message),
        key(message, service="other"),
        key(message, error_type="Other"),
        key(message, stack=["app.run (app.py:1)"]),
    }
    assert len(keys) == 4


FRAMES = [
    "app.run (app.py:{})",
    "at run (app.js:{}:{})",
    "main.run /src/main.go:{} +0x1d",
    'File "app.py", line {}, in run',
    "com.example.Run(Run.java:{})",
]


@pytest.mark.parametrize("frame", FRAMES)
@given(st.lists(st.integers(1, 99_999), min_size=4, max_size=4))
def test_line_numbers_do_not_make_a_new_error(frame, lines):
    """An edit elsewhere in the file moves the line and not the error."""
    one, other = frame.format(*lines[:2]), frame.format(*lines[2:])
    assert key(stack=[one]) == key(stack=[other])


def test_only_the_innermost_frames_count():
    """Who called is not what failed."""
    inner = ["b (b.py:1)", "c (c.py:1)", "d (d.py:1)"]
    assert key(stack=["main (a.py:1)", *inner]) == key(stack=["worker (w.py:9)", *inner])
    assert key(stack=inner) != key(stack=[*inner[:2], "e (d.py:1)"])


def test_the_reporters_own_fingerprint_wins():
    """A service may know better what counts as the same."""
    assert key("one", fingerprint="mine") == key("two", fingerprint="mine") == "mine"


@pytest.mark.parametrize("text", ["a." * 2000, "a@" * 2000, "'" * 4000, "0x" * 2000, "a'" * 2000])
@pytest.mark.timeout(5)
def test_no_message_takes_long_to_mask(text):
    """A report must not be able to keep the API busy."""
    assert normalise(text[:4000]) is not None

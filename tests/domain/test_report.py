"""What a report may hold."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holdfast.domain.report import MAX_CONTEXT_DEPTH, Report, ReportBatch, incident_workflow_id

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLAIN = {"service": "channels", "error_type": "Oops", "message": "it failed"}
CONTROL = st.sampled_from([chr(code) for code in [*range(9), 11, 12, *range(14, 32), 127]])
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def nested(depth, leaf="x"):
    return leaf if depth == 0 else {"k": nested(depth - 1, leaf)}


@given(
    st.dictionaries(TEXT, JSON, max_size=4).filter(lambda value: _depth(value) < MAX_CONTEXT_DEPTH)
)
def test_a_report_survives_a_message(context):
    """What is stored or sent as JSON comes back as the same report."""
    report = Report(**PLAIN, context=context, occurred_at=NOW)
    assert Report.model_validate_json(report.model_dump_json()) == report


def _depth(value):
    match value:
        case dict():
            return 1 + max(map(_depth, value.values()), default=0)
        case list():
            return 1 + max(map(_depth, value), default=0)
        case _:
            return 0


PLACES = {
    "message": lambda text: {"message": text},
    "error type": lambda text: {"error_type": text},
    "base class": lambda text: {"error_bases": [text]},
    "frame": lambda text: {"stack": ["main", text]},
    "user": lambda text: {"user": text},
    "trace": lambda text: {"trace_id": text},
    "label": lambda text: {"labels": {"a": text}},
    "label's name": lambda text: {"labels": {text: "a"}},
    "context": lambda text: {"context": {"a": text}},
    "context's key": lambda text: {"context": {text: 1}},
    "nested value": lambda text: {"context": {"a": [{"b": {"c": [text]}}]}},
    "nested key": lambda text: {"context": {"a": [{"b": {text: 1}}]}},
}


@pytest.mark.parametrize("place", PLACES)
@given(TEXT, CONTROL, TEXT)
def test_control_characters_are_refused_wherever_they_are(place, before, control, after):
    """PostgreSQL cannot store NUL, and terminals obey the others."""
    with pytest.raises(ValidationError, match="control character"):
        Report.model_validate(PLAIN | PLACES[place](f"{before}{control}{after}"))


@given(TEXT)
def test_line_breaks_and_tabs_are_welcome(text):
    """A message may well have several lines."""
    message = f"a\t{text}\r\nb"
    assert Report(**PLAIN | {"message": message}).message == message


def test_half_a_surrogate_pair_is_refused():
    """JSON can write it, and no store can keep it."""
    with pytest.raises(ValidationError, match="U\\+D800"):
        Report(**PLAIN, context={"k": "\ud800"})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_refused(number):
    """They would be stored as null, or wedge the store; the path says which it is."""
    with pytest.raises(ValidationError, match=r"context\.a\.0: JSON has no"):
        Report(**PLAIN, context={"a": [number]})


def test_context_may_nest_eight_levels():
    """Deep enough for what people send."""
    assert Report(**PLAIN, context=nested(MAX_CONTEXT_DEPTH)).context


@pytest.mark.parametrize("depth", [MAX_CONTEXT_DEPTH + 1, 100, 5000])
def test_deeper_context_is_refused(depth):
    """Far too deep is refused as politely as a little too deep."""
    context = "x"
    for _ in range(depth):
        context = {"k": context}
    with pytest.raises(ValidationError):
        Report.model_validate(PLAIN | {"context": context})


def test_deep_lists_are_refused_too():
    """A list nests like a mapping."""
    context = "x"
    for _ in range(50):
        context = [context]
    with pytest.raises(ValidationError, match="nested deeper"):
        Report(**PLAIN, context={"k": context})


@pytest.mark.parametrize("time", ["2026-03-01T12:00:00", datetime(2026, 3, 1, 12)])  # noqa: DTZ001 - the point of it
def test_a_time_without_zone_is_refused(time):
    """Nobody could say when it was."""
    with pytest.raises(ValidationError, match="timezone"):
        Report.model_validate(PLAIN | {"occurred_at": time})


def test_unknown_fields_are_refused_where_asked_for():
    """The API is strict about what it is sent, though a running workflow is not."""
    sent = PLAIN | {"mesage": "x"}
    assert Report.model_validate(sent).message == "it failed"
    with pytest.raises(ValidationError, match="mesage"):
        Report.model_validate(sent, extra="forbid")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("service", "two words"),
        ("service", "a:b"),
        ("service", "a\n"),
        ("service", ""),
        ("service", "x" * 101),
        ("error_type", ""),
        ("message", ""),
        ("message", "x" * 4001),
        ("fingerprint", "with space"),
        ("fingerprint", "x" * 101),
        ("category", "Network"),
        ("severity", "awful"),
        ("stack", ["x"] * 101),
        ("labels", {"a": 1}),
        ("context", []),
    ],
)
def test_fields_have_their_limits(field, wrong):
    """What would not fit a workflow id, a column or a page is refused at the door."""
    with pytest.raises(ValidationError) as refusal:
        Report.model_validate(PLAIN | {field: wrong})
    assert refusal.value.errors()[0]["loc"][0] == field


def batch(batch_id, *, count, first, last, message="it failed"):
    sample = Report(**PLAIN | {"message": message})
    at = {"first_at": NOW.replace(minute=first), "last_at": NOW.replace(minute=last)}
    return ReportBatch(id=batch_id, fingerprint="f", sample=sample, count=count, **at)


def test_folding_batches_keeps_the_count_exact():
    """The folded batch spans both and shows the later sample, under the first one's identity."""
    one = batch("one", count=3, first=5, last=8)
    two = batch("two", count=4, first=2, last=6, message="later")
    assert one.folded(two) == batch("one", count=7, first=2, last=8, message="later")


def test_a_batch_knows_its_workflow():
    """Service and fingerprint name the one open incident of an error."""
    one = batch("one", count=1, first=0, last=0)
    assert one.workflow_id == incident_workflow_id("channels", "f") == "incident:channels:f"

"""What a report may write into an action, and where."""

from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.template import check_url, placeholders, render, render_json, render_url
from holdfast.errors import InvalidInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
URL = "http://127.0.0.1:8100/channels/{context.channel}/restart"


def of(value):
    return {"context": {"channel": value}}


@given(TEXT)
def test_a_value_cannot_leave_its_segment_of_a_url(value):
    """Whatever a report says, host and neighbouring segments are the operator's."""
    try:
        url = render_url(URL, of(value))
    except InvalidInput:
        assert value in {"", ".", ".."}
        return
    sent = httpx.URL(url)
    assert sent.host == "127.0.0.1"
    assert not urlsplit(url).query
    assert not urlsplit(url).fragment
    before, *middle, after = sent.raw_path.decode().removeprefix("/").split("/")
    assert (before, len(middle), after) == ("channels", 1, "restart")
    assert unquote(middle[0]) == value


@pytest.mark.parametrize("dots", ["", ".", ".."])
def test_a_segment_of_dots_or_nothing_is_refused(dots):
    """HTTP clients resolve dots: ``/channels/../restart`` would be sent as ``/restart``."""
    with pytest.raises(InvalidInput, match="no part of a path"):
        render_url(URL, of(dots))


def test_dots_that_only_together_make_a_segment_are_refused():
    """The whole segment counts, not each value."""
    with pytest.raises(InvalidInput, match="no part of a path"):
        render_url("http://a.example/x/{context.channel}{context.channel}/y", of("."))


@given(TEXT)
def test_a_value_cannot_leave_its_place_in_a_query(value):
    """It adds no parameter and no fragment."""
    url = render_url("http://a.example/restart?name={context.channel}&force=no", of(value))
    parameters = httpx.URL(url).params
    assert parameters.multi_items() == [("name", value), ("force", "no")]


@pytest.mark.parametrize(
    "url",
    [
        "http://{context.host}/restart",
        "http://a.example:{context.port}/restart",
        "https://{user}.a.example/restart",
        "http://${HOST}/restart",
    ],
)
def test_a_report_cannot_choose_the_host(url):
    """Else a report could have requests, with their secrets, sent anywhere."""
    with pytest.raises(ValueError, match="host"):
        check_url(url)


def test_a_password_in_a_url_is_refused():
    """URLs are shown and logged."""
    with pytest.raises(ValueError, match="no user:password"):
        check_url("http://ann:secret@a.example/restart")


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/{}",
        "http://a.example/{context.channel",
        "http://a.example/{A b}",
        "http://a.example/${TOKEN}",
    ],
)
def test_braces_that_name_nothing_are_refused(url):
    """They would be sent as they stand."""
    with pytest.raises(ValueError, match="between braces"):
        check_url(url)


@given(TEXT, TEXT)
def test_a_reports_text_is_filled_in_once_and_literally(before, after):
    """``${X}`` or ``{user}`` in a report stays text: reports cannot ask for secrets or fields."""
    value = f"{before}${{API_KEY}} {{user}}{after}"
    parameters = of(value) | {"user": "ann"}
    assert render("-> {context.channel}", parameters) == f"-> {value}"
    assert render_json({"a": ["{context.channel}!"]}, parameters) == {"a": [f"{value}!"]}


@pytest.mark.parametrize(
    "parameters", [{}, {"context": {}}, {"context": None}, {"context": "x"}, of(None)]
)
def test_a_missing_value_is_an_error_that_names_it(parameters):
    """An action with a hole in it is worse than none."""
    for fill in (render, render_url, render_json):
        with pytest.raises(InvalidInput, match=r"carries no context\.channel") as refusal:
            fill(URL, parameters)
        assert refusal.value.field == "context.channel"


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_structures_do_not_go_into_text(value):
    """Nobody means the Python spelling of a list."""
    with pytest.raises(InvalidInput, match="not text or a number"):
        render(URL, of(value))


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (1.5, "1.5"), (True, "true"), ("x", "x")])
def test_plain_values_are_written_as_in_json(value, text):
    """A truth value reads ``true``, as it was sent."""
    assert render("{context.channel}", of(value)) == text


@given(
    st.one_of(
        st.integers(), st.booleans(), TEXT, st.lists(st.integers()), st.dictionaries(TEXT, TEXT)
    )
)
def test_a_value_that_is_one_placeholder_keeps_its_type(value):
    """A body can carry a report's numbers and structures as they are."""
    assert render_json({"a": ["{context.channel}"]}, of(value)) == {"a": [value]}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text("abc {}.$", max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    )
)
def test_json_without_placeholders_stays_as_it_is(value):
    """Braces that name nothing are text in a body, where JSON is full of them."""
    if not placeholders(str(value)):
        assert render_json(value, {}) == value

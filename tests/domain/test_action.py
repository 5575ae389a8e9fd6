"""How a service is restarted and seen well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from holdfast.domain.action import (
    Command,
    CommandAction,
    HealthCheck,
    HttpAction,
    RecoveryAction,
    SecretReference,
    WorkflowAction,
)
from holdfast.errors import InvalidInput

ACTION = TypeAdapter(RecoveryAction)
PARAMETERS = {
    "service": "channels",
    "message": "$(reboot) ${API_KEY}",
    "context": {"channel": "news/1", "n": 3},
}


def test_an_http_action_is_filled_in_where_templates_are_allowed():
    """URL and body take a report's values, headers never."""
    action = HttpAction(
        url="http://a.example/{context.channel}",
        headers={"Authorization": "Bearer ${API_KEY}"},
        body={"n": "{context.n}", "why": "{service}: {message}"},
    )
    rendered = action.rendered(PARAMETERS)
    assert rendered.url == "http://a.example/news%2F1"
    assert rendered.headers == {"Authorization": "Bearer ${API_KEY}"}
    assert rendered.body == {"n": 3, "why": "channels: $(reboot) ${API_KEY}"}


def test_a_header_takes_no_value_of_a_report():
    """Headers hold secrets, so no report's text may come near them."""
    for kind in (HttpAction, HealthCheck):
        with pytest.raises(ValidationError, match=r"X-Channel: a header takes no \{placeholder"):
            kind(url="http://a.example", headers={"X-Channel": "{context.channel}"})


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "X-Auth-Token", "Cookie"])
def test_a_header_with_a_secret_refers_to_it(name):
    """The file is shown to people who may not know it."""
    for kind in (HttpAction, HealthCheck):
        with pytest.raises(ValidationError, match="a secret does not belong in this file"):
            kind(url="http://a.example", headers={name: "abc"})
        assert kind(url="http://a.example", headers={name: "Bearer ${API_KEY}"})


def test_a_programs_environment_refers_to_secrets_too():
    """What does not sound like a secret may stand as it is."""
    with pytest.raises(ValidationError, match="a secret does not belong in this file"):
        Command(argv=["a"], environment={"DB_PASSWORD": "abc"})
    assert Command(argv=["a"], environment={"LANG": "C", "DB_PASSWORD": "${DB_PASSWORD}"})


@pytest.mark.parametrize("url", ["ftp://a.example", "a.example", "//a.example", "http:a", ""])
def test_a_url_is_http(url):
    """An action's and a health check's alike."""
    for kind in (HttpAction, HealthCheck):
        with pytest.raises(ValidationError):
            kind(url=url)


def test_a_health_check_is_filled_in():
    """Each channel of a service may have a health of its own."""
    check = HealthCheck(url="http://a.example/{context.channel}/health")
    assert check.rendered(PARAMETERS).url == "http://a.example/news%2F1/health"


def test_a_workflows_input_is_filled_in():
    """The user's own workflow gets what it asks for, types kept."""
    action = WorkflowAction(
        kind="run_workflow", workflow="Rebuild", task_queue="ops", input={"n": "{context.n}"}
    )
    assert action.rendered(PARAMETERS).input == {"n": 3}


def test_arguments_are_filled_in_behind_the_operators_own_text():
    """An operator's option may take a report's value."""
    action = CommandAction(
        kind="command",
        command="restart",
        arguments=["--channel={context.channel}", "-n", "{context.n}"],
    )
    assert action.rendered(PARAMETERS).arguments == ("--channel=news/1", "-n", "3")


@given(st.text(max_size=20))
def test_a_filled_in_argument_is_plain_text(value):
    """A value cannot become an option, a shell's word, a line break or nothing."""
    action = CommandAction(kind="command", command="restart", arguments=["{user}"])
    try:
        (argument,) = action.rendered({"user": value}).arguments
    except InvalidInput:
        return
    assert argument == value
    assert not argument.startswith("-")
    assert argument.isascii()
    assert argument.isprintable()
    assert not set(argument) & set("$`;|&<>(){}[]*?!~#'\"\\\n")


@pytest.mark.parametrize("value", ["--force", "", "a;b", "a\nb", "$(x)", "a b\t", " a"])
def test_unsafe_arguments_are_refused(value):
    """The error says what may be used instead."""
    action = CommandAction(kind="command", command="restart", arguments=["{user}"])
    with pytest.raises(InvalidInput, match="may not be safe"):
        action.rendered({"user": value})


@pytest.mark.parametrize(
    "action",
    [
        HttpAction(url="http://a.example/{service}", expect={"codes": ["200", "5xx"]}),
        CommandAction(kind="command", command="restart", arguments=["a"]),
        WorkflowAction(kind="run_workflow", workflow="W", task_queue="q"),
    ],
)
def test_actions_survive_a_message(action):
    """An action is decoded as the kind that was sent."""
    assert ACTION.validate_json(ACTION.dump_json(action)) == action


REFERENCE = TypeAdapter(SecretReference)


@pytest.mark.parametrize("reference", ["${SLACK_TOKEN}", "file:/run/secrets/slack", "file:token"])
def test_a_secret_stands_in_the_file_by_reference(reference):
    """Environment or file."""
    assert REFERENCE.validate_python(reference) == reference


@pytest.mark.parametrize(
    "secret", ["xoxb-123", "${lower}", "${A} ${B}", "$A", "file:", "", "whsec_x"]
)
def test_a_secret_itself_is_refused(secret):
    """The policy file is read by many."""
    with pytest.raises(ValidationError):
        REFERENCE.validate_python(secret)

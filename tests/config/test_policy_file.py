"""Reading the policy file, and what is said when it is wrong."""

import dataclasses
import textwrap
from datetime import timedelta

import pytest

from config.policy import Change, PolicyHolder, load, missing_secrets, parse
from holdfast.errors import ConfigurationError


def refused(text):
    """The lines of the refusal, without the file's name."""
    with pytest.raises(ConfigurationError) as refusal:
        parse(textwrap.dedent(text))
    lines = str(refusal.value).splitlines()
    assert all(line.startswith("holdfast.yaml:") for line in lines)
    return [line.removeprefix("holdfast.yaml:") for line in lines]


SERVICE = """\
services:
  shop:
    health:
      url: http://a.example/health
    actions:
      restart:
        kind: http
        url: http://a.example/restart
"""


def with_line(line):
    return f"{SERVICE}        {line}\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("timeout: 30", "expected a duration such as 500ms, 30s, 5m, 1h30m or 2d, got 30: "),
        ("exepct: 200", "no such key here; did you mean 'expect'?"),
        ("zzz: 1", "no such key here; there are kind, url, method, headers, body, expect, "),
        (
            "method: PSOT",
            "expected 'GET', 'POST', 'PUT', 'PATCH' or 'DELETE', got 'PSOT'; did you ",
        ),
        ("expect: okay", "expected an HTTP status such as 200 or 5xx, got 'okay'"),
        ("expect: 2.5", "expected an HTTP status such as 200 or 5xx, or a list, got 2.5"),
        ("headers: [a]", "expected a mapping"),
        ("headers: {X: {context.a}}", "expected text"),
        ("headers: {Authorization: abc}", "Authorization: a secret does not belong in this file"),
        ("secret: abc", "expected ${ENVIRONMENT_NAME} or file:/path/to/the/secret"),
        ("headers:", "expected a mapping: indent what belongs to it, or remove the key"),
        ("method:", "expected 'GET', 'POST', 'PUT', 'PATCH' or 'DELETE', got nothing"),
    ],
)
def test_a_mistake_is_said_with_its_line_and_place(line, message):
    """Line, path and what was expected."""
    (said,) = refused(with_line(line))
    key = line.partition(":")[0]
    assert said.startswith(f"9: services.shop.actions.restart.{key}")
    assert f": {message}" in said


def test_everything_wrong_is_said_at_once_from_the_top():
    """Nobody wants to correct a file one error at a time."""
    said = refused("""\
        version: 2
        servces: {}
        services:
          shop:
            health: {interval: 1s}
            actions:
              restart: {url: "http://a.example"}
              fallback:
                kind: htttp
            strategies:
              timeout: restart
              network:
                - step: restrat
          5: {}
        rules:
          - name: x
            match: {message: "(", labels: {live: true}}
            category: Money
        escalation:
          policies:
            default:
              levels: []
        channels:
          hook: {kind: webhook, url: "http://ann:secret@a.example"}
        """)
    assert said == [
        "1: version: expected 1, got 2",
        "2: servces: no such key here; did you mean 'services'?",
        "5: services.shop.health.url: missing; it is required",
        "7: services.shop.actions.restart: expected a kind: http, command or run_workflow",
        (
            "9: services.shop.actions.fallback.kind: expected http, command or run_workflow, got "
            "'htttp'; did you mean 'http'?"
        ),
        "11: services.shop.strategies.timeout: expected a list, got 'restart'",
        (
            "13: services.shop.strategies.network.0.step: expected 'retry', 'restart', 'fallback', "
            "'degrade', 'open_breaker', 'run_workflow', 'escalate' or 'ignore', got 'restrat'; did "
            "you mean 'restart'?"
        ),
        "14: services.5: expected text, got 5: put it in quotes",
        "17: rules.0.match.labels.live: expected text, got true: put it in quotes",
        (
            "17: rules.0.match.message: expected a regular expression: missing ), unterminated "
            "subpattern at position 0"
        ),
        (
            "18: rules.0.category: expected a category: small letters, digits and underscores, got "
            "'Money'"
        ),
        "22: escalation.policies.default.levels: expected at least 1 of them, got a list",
        "24: channels.hook.url: expected an http:// or https:// URL without user and password",
    ]


def test_names_that_lead_nowhere_have_their_lines_too():
    """Each reference by itself, with what was probably meant."""
    said = refused("""\
        services:
          shop:
            strategies:
              timeot:
                - step: restart
                  action: reboot
        rules:
          - {name: x, match: {}, category: money}
        escalation:
          policies:
            default:
              levels:
                - targets:
                    - channel: slak
          rules:
            - policy: defualt
        channels:
          slack: {kind: slack, token: "${SLACK_TOKEN}", to: "#ops"}
        """)
    own = "one of your own goes into categories"
    assert said == [
        f"4: services.shop.strategies.timeot: no category 'timeot'; did you mean 'timeout'?; {own}",
        "6: services.shop.strategies.timeot.0.action: shop has no action 'reboot'",
        f"8: rules.0.category: no category 'money'; {own}",
        (
            "14: escalation.policies.default.levels.0.targets.0.channel: no channel 'slak'; "
            "did you mean 'slack'?"
        ),
        "16: escalation.rules.0.policy: no policy 'defualt'; did you mean 'default'?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        with_line("secret: whsec_topsecret"),
        with_line("headers: {Authorization: topsecret}"),
        with_line("headers: {Authorization: [topsecret]}"),
        "channels: {a: {kind: slack, token: topsecret}}",
        "channels: {a: {kind: webhook, url: 'http://a.example', secrets: topsecret}}",
        "channels: {a: {kind: webhook, url: 'http://a:topsecret@a.example'}}",
        "commands: {a: {argv: [a], environment: {API_TOKEN: topsecret}}}",
    ],
)
def test_a_secret_written_by_mistake_is_not_repeated(text):
    """What is said about the file ends up in logs."""
    assert "topsecret" not in "".join(refused(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holdfast.yaml is empty"),
        ("# nothing yet\n", "holdfast.yaml is empty"),
        ("- a\n", "holdfast.yaml:1: expected a mapping with the keys version, services"),
        ("services\n", "holdfast.yaml:1: expected a mapping with the keys version, services"),
        ("a: [\n", "holdfast.yaml:2:1: not YAML"),
        ("rules: []\nrules: []\n", "holdfast.yaml:2: rules: given a second time"),
    ],
)
def test_what_is_no_policy_file_is_refused(text, message):
    """The smallest says its version."""
    with pytest.raises(ConfigurationError) as refusal:
        parse(text)
    assert message in str(refusal.value)


def test_the_smallest_policy_file():
    """A section whose entries are all commented out is empty."""
    assert parse("version: 1\n") == parse("services:\nrules:\nchannels: # none yet\n")


def test_durations_and_statuses_are_read():
    """As the page on configuration promises."""
    policy = parse(with_line("timeout: 1m30s\n        expect: [200, 4xx]"))
    restart = policy.services["shop"].actions["restart"]
    assert restart.timeout == timedelta(seconds=90)
    assert restart.expect.include(404)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "holdfast.yaml"
    path.write_text(SERVICE)
    return path


def test_a_missing_file_says_how_to_name_another(tmp_path):
    """The message is all that a first start shows."""
    with pytest.raises(ConfigurationError, match=r"there is no policy file .*HOLDFAST_CONFIG"):
        load(tmp_path / "holdfast.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff\n", r"holdfast\.yaml:1: not UTF-8 text"),
        (b"a: 1\nb: \xc3\x28\n", ":2: not UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_refused(file, content, message):
    """With the line where it ceases to be text."""
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        load(file)


def test_a_folder_is_no_policy_file(tmp_path):
    """A mount that was mistyped becomes a folder."""
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_byte_order_mark_is_no_mistake(file):
    """Some editors put one."""
    file.write_bytes(b"\xef\xbb\xbf" + SERVICE.encode())
    assert load(file).policy == parse(SERVICE)


def test_the_hash_is_of_what_the_file_says(file):
    """Comments, order and spelling do not count: equal hashes mean equal policies."""
    first = load(file)
    file.write_text("# hello\nresolve_after_quiet: 240m\nversion: 1\n" + SERVICE)
    assert load(file).hash == first.hash
    assert len(first.hash) == 12
    file.write_text("resolve_after_quiet: 241m\n" + SERVICE)
    assert load(file).hash != first.hash


def test_the_loaded_policy_can_be_shown(file):
    """For GET /config: where from, its hash and all of it, defaults included."""
    shown = load(file).describe()
    assert shown["path"] == str(file)
    assert shown["hash"] == load(file).hash
    assert shown["policy"]["services"]["shop"]["limit"]["actions"] == 5


def test_a_loaded_policy_is_read_back_from_its_description(file):
    """What is shown is complete."""
    loaded = load(file)
    assert type(loaded.policy).model_validate(loaded.describe()["policy"]) == loaded.policy


def test_a_reload_takes_over_and_says_what_changed(file):
    """With dotted paths; what is new or gone has nothing on the other side."""
    holder = PolicyHolder(load(file))
    changed = SERVICE.replace("/restart", "/reboot")
    file.write_text(f"{changed}  bank: {{}}\nresolve_after_quiet: 1h\n")
    changes = {change.path: change for change in holder.reload()}
    bank = changes.pop("services.bank")
    assert (bank.old, bank.new["limit"]["actions"]) == (None, 5)
    assert changes == {
        "services.shop.actions.restart.url": Change(
            path="services.shop.actions.restart.url",
            old="http://a.example/restart",
            new="http://a.example/reboot",
        ),
        "resolve_after_quiet": Change(path="resolve_after_quiet", old="PT4H", new="PT1H"),
    }
    assert holder.policy.resolve_after_quiet == timedelta(hours=1)
    assert holder.reload() == ()


def test_lists_of_one_length_are_compared_entry_by_entry(file):
    """A list that grew or shrank is shown whole: its entries moved."""
    rule = "  - {{name: {}, match: {{}}, category: api}}\n"
    file.write_text("rules:\n" + rule.format("a") + rule.format("b"))
    holder = PolicyHolder(load(file))
    file.write_text("rules:\n" + rule.format("a") + rule.format("c"))
    assert [change.path for change in holder.reload()] == ["rules.1.name"]
    file.write_text("rules:\n" + rule.format("c"))
    (change,) = holder.reload()
    assert (change.path, len(change.old), len(change.new)) == ("rules", 2, 1)


@pytest.mark.parametrize("broken", ["services: 5\n", "a: [", None])
def test_a_broken_reload_keeps_the_present_policy(file, broken):
    """An edit with a mistake must not leave a process without a policy."""
    holder = PolicyHolder(load(file))
    before = holder.current
    if broken:
        file.write_text(broken)
    else:
        file.unlink()
    with pytest.raises(ConfigurationError):
        holder.reload()
    assert holder.current is before


def test_a_loaded_policy_is_not_changed_in_place(file):
    """Whoever took it keeps what they took."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(file).hash = "0" * 12


SECRETS = """\
services:
  shop:
    health:
      url: http://a.example
      headers: {{Authorization: "Bearer ${{HEALTH}}"}}
    actions:
      restart:
        kind: http
        url: http://a.example
        headers: {{X-Token: "${{HEADER}}"}}
        secret: file:{folder}/secret
commands:
  reboot: {{argv: [reboot], environment: {{A: "x${{COMMAND}}", B: plain}}}}
channels:
  slack: {{kind: slack, token: "${{SLACK}}", to: "#ops"}}
  hook: {{kind: webhook, url: "http://a.example", secrets: ["${{HOOK}}", "file:{folder}/hook"]}}
"""
ENVIRONMENT = {"HEALTH": "1", "HEADER": "2", "COMMAND": "3", "SLACK": "4", "HOOK": "5"}


def test_every_reference_that_leads_nowhere_is_listed(tmp_path):
    """Wherever the policy has one, with its place."""
    missing = missing_secrets(parse(SECRETS.format(folder=tmp_path)), {})
    assert [each.path for each in missing] == [
        "services.shop.health.headers.Authorization",
        "services.shop.actions.restart.headers.X-Token",
        "services.shop.actions.restart.secret",
        "commands.reboot.environment.A",
        "channels.slack.token",
        "channels.hook.secrets.0",
        "channels.hook.secrets.1",
    ]
    assert missing[4].reference == "${SLACK}"
    assert missing[4].problem == "the environment variable SLACK is not set; set it"


def test_nothing_is_missing_when_all_are_there(tmp_path):
    """Variables set, files readable."""
    for name in ("secret", "hook"):
        (tmp_path / name).write_text("abc\n")
    policy = parse(SECRETS.format(folder=tmp_path))
    assert missing_secrets(policy, ENVIRONMENT) == []


def test_an_empty_secret_is_missing(tmp_path):
    """A variable that is set to nothing signs nothing."""
    for name in ("secret", "hook"):
        (tmp_path / name).write_text("abc\n")
    policy = parse(SECRETS.format(folder=tmp_path))
    (missing,) = missing_secrets(policy, ENVIRONMENT | {"SLACK": ""})
    assert missing.problem == "the secret ${SLACK} is empty"

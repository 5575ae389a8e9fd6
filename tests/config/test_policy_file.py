"""Reading the policy file, and taking a new one over."""

import dataclasses
from datetime import timedelta

import pytest

from config.policy import Change, PolicyHolder, load, missing_secrets, parse
from holdfast.errors import ConfigurationError

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
  chat: {{kind: slack, token: "${{SLACK}}", app_token: "${{APP}}", signing_secret: "${{SIGN}}"}}
  hook: {{kind: webhook, url: "http://a.example", secrets: ["${{HOOK}}", "file:{folder}/hook"]}}
  pager: {{kind: pagerduty, routing_key: "${{ROUTE}}", webhook_secrets: ["${{BACK}}"]}}
  mail: {{kind: email, host: a, sender: a@b, username: "${{USER}}", password: "${{PASSWORD}}"}}
  sms: {{kind: sms, account_sid: "${{SID}}", auth_token: "${{AUTH}}", sender: "+15551234567"}}
  others: {{kind: apprise, urls: ["${{URL}}"]}}
schedules:
  feed: {{calendar: "${{FEED}}"}}
  file: {{calendar: "file:{folder}/calendar.ics"}}
  open: {{calendar: "https://a.example/calendar.ics"}}
"""
NAMES = "HEALTH HEADER COMMAND SLACK APP SIGN HOOK ROUTE BACK USER PASSWORD SID AUTH URL FEED"
ENVIRONMENT = dict.fromkeys(NAMES.split(), "1")


def test_every_reference_that_leads_nowhere_is_listed(tmp_path):
    """Wherever the policy has one, with its place."""
    missing = missing_secrets(parse(SECRETS.format(folder=tmp_path)), {})
    assert [each.path for each in missing] == [
        "services.shop.health.headers.Authorization",
        "services.shop.actions.restart.headers.X-Token",
        "services.shop.actions.restart.secret",
        "commands.reboot.environment.A",
        "schedules.feed.calendar",
        "channels.slack.token",
        "channels.chat.token",
        "channels.chat.signing_secret",
        "channels.chat.app_token",
        "channels.hook.secrets.0",
        "channels.hook.secrets.1",
        "channels.pager.routing_key",
        "channels.pager.webhook_secrets.0",
        "channels.mail.username",
        "channels.mail.password",
        "channels.sms.account_sid",
        "channels.sms.auth_token",
        "channels.others.urls.0",
    ]
    assert missing[5].reference == "${SLACK}"
    assert missing[5].problem == "the environment variable SLACK is not set; set it"


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
    (missing,) = missing_secrets(policy, ENVIRONMENT | {"ROUTE": ""})
    assert missing.problem == "the secret ${ROUTE} is empty"

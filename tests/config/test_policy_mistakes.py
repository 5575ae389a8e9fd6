"""What is said of each mistake in a policy file: its line, its place, and what was expected."""

import textwrap

import pytest

from config.policy import parse
from config.problems import PATTERNS
from holdfast.domain.policy import Policy
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


def refused(text):
    """The lines of the refusal, without the file's name."""
    with pytest.raises(ConfigurationError) as refusal:
        parse(textwrap.dedent(text))
    lines = str(refusal.value).splitlines()
    assert all(line.startswith("holdfast.yaml:") for line in lines)
    return [line.removeprefix("holdfast.yaml:") for line in lines]


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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("window: 0s", "window: expected at least 1 second"),
        ("slow_after: 0s", "slow_after: expected more than 0 seconds"),
        ("lease_for: 1m", "lease_for: expected at most 30 seconds"),
        ("failure_rate: 50%", "failure_rate: expected a number, got '50%'"),
        ("failure_rate: 50", "failure_rate: expected at most 1.0, got 50"),
        ("minimum: 5", "minimum: no such key here; did you mean 'minimum_calls'?"),
        ("open_for: 5s", "open_for: expected a mapping, got '5s'"),
        ("ramp: [0.5, 0.1]", "ramp: each share lets more traffic through than the one before it"),
        ("ignore: [a b]", "ignore.0: expected an exception's class, such as ValueError or httpx."),
    ],
)
def test_a_breakers_mistakes_are_said_in_its_words(line, message):
    """What could never open, or never close, is refused."""
    (said,) = refused(f"services:\n  shop:\n    breaker:\n      {line}\n")
    assert said.startswith(f"4: services.shop.breaker.{message}")


def test_a_breaker_that_would_never_open_is_a_mistake():
    """The window holds fewer calls than it takes to say something."""
    (said,) = refused("services: {shop: {breaker: {window_calls: 5}}}")
    assert said == (
        "1: services.shop.breaker: of the latest 5 calls (window_calls) there are never 20 "
        "(minimum_calls): it would never open"
    )


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
        "22: escalation.policies.default.levels: expected at least 1 of them, got an empty list",
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


def test_mistakes_in_escalation_are_said_in_the_files_own_words():
    """What a first escalation policy gets wrong, each with what to write instead."""
    said = refused("""\
        people:
          ada: {contacts: []}
          lin: {contacts: [{channel: mail, adress: x}]}
        schedules:
          weekly:
            time_zone: Berlin
            layers:
              - {people: ada, starts_on: next monday, handover: 9am}
              - {people: [ada], starts_on: 2026-01-05, every: 90m, hours: {days: [tues]}}
            overrides:
              - {person: lin, starts_at: 2026-12-24T09:00:00, ends_at: tomorrow}
          feed: {calendar: "webcal://topsecret"}
        bundling: {by: person, within: 2}
        escalation:
          policies:
            default:
              repeat: -1
              levels:
                - targets: []
                - targets: [slack, {person: ada, schedule: weekly}, {channel: a, mandatory: maybe}]
          rules:
            - severity: [critical]
            - {policy: default, occurrences: 50 in 5m, incidents: 5 within 8d}
        channels:
          mail: {kind: email, host: smtp, username: "${USER}", sender: ops@example.com}
          sms: {kind: sms, account_sid: topsecret, auth_token: topsecret, sender: "555", to: +1555}
          app: {kind: apprise, urls: ["slack://topsecret"], to: x}
          pager: {kind: pagerduty, routing_key: topsecret, webhook_secrets: [topsecret], to: x}
          chat: {kind: telegram}
        """)
    secret = "expected ${ENVIRONMENT_NAME} or file:/path/to/the/secret: a secret itself does not "
    secret += "belong in this file"
    moment = "expected a time with its offset, such as 2026-12-24T09:00:00+01:00, got "
    assert said == [
        "2: people.ada.contacts: expected at least 1 of them, got an empty list",
        "3: people.lin.contacts.0.adress: no such key here; there are channel or to",
        "6: schedules.weekly.time_zone: no time zone 'Berlin'; write one such as Europe/Berlin",
        (
            "8: schedules.weekly.layers.0.handover: expected a time of the day such as 09:00, got "
            "'9am'"
        ),
        "8: schedules.weekly.layers.0.people: expected a list, got 'ada'",
        (
            "8: schedules.weekly.layers.0.starts_on: expected a date such as 2026-01-05, got 'next "
            "monday'"
        ),
        (
            "9: schedules.weekly.layers.1.hours.days.0: expected 'mon', 'tue', 'wed', 'thu', "
            "'fri', 'sat' or 'sun', got 'tues'; did you mean 'tue'?"
        ),
        f"11: schedules.weekly.overrides.0.ends_at: {moment}'tomorrow'",
        f"11: schedules.weekly.overrides.0.starts_at: {moment}'2026-12-24T09:00:00'",
        (
            "12: schedules.feed.calendar: expected an http:// or https:// URL, "
            "file:/path/to/a/calendar, or ${ENVIRONMENT_NAME} for a URL that is secret"
        ),
        "13: bundling.by: expected 'service' or 'policy', got 'person'",
        (
            "13: bundling.within: expected a duration such as 500ms, 30s, 5m, 1h30m or 2d, got 2: "
            "a bare number has no unit, write 2s if seconds are meant"
        ),
        "17: escalation.policies.default.repeat: expected at least 0, got -1",
        (
            "19: escalation.policies.default.levels.0.targets: expected at least 1 of them, got an "
            "empty list"
        ),
        "20: escalation.policies.default.levels.1.targets.0: expected a mapping, got 'slack'",
        (
            "20: escalation.policies.default.levels.1.targets.1: expected one of person, schedule "
            "and channel"
        ),
        (
            "20: escalation.policies.default.levels.1.targets.2.mandatory: expected true or false, "
            "got 'maybe'"
        ),
        (
            "22: escalation.rules.0: expected policy, raise_severity or both: it would change "
            "nothing"
        ),
        "23: escalation.rules.1.incidents: expected at most 7 days",
        (
            "23: escalation.rules.1.occurrences: expected a frequency such as '50 within 5m', got "
            "'50 in 5m'"
        ),
        "25: channels.mail: username and password go together",
        f"26: channels.sms.account_sid: {secret}",
        f"26: channels.sms.auth_token: {secret}",
        (
            "26: channels.sms.sender: expected a phone number with its country code, such as "
            "+15551234567, or a messaging service, MG..., got '555'"
        ),
        "26: channels.sms.to: expected text, got 1555: put it in quotes",
        (
            "27: channels.app.to: expected nothing, got 'x': what this kind of channel reaches "
            "stands in its urls"
        ),
        f"27: channels.app.urls.0: {secret}",
        f"28: channels.pager.routing_key: {secret}",
        (
            "28: channels.pager.to: no such key here; there are timeout, deadline, fallback, "
            "limits, kind, routing_key, webhook_secrets or base_url"
        ),
        f"28: channels.pager.webhook_secrets.0: {secret}",
        (
            "29: channels.chat.kind: expected slack, webhook, pagerduty, email, sms or apprise, "
            "got 'telegram'"
        ),
    ]


def test_what_reaches_nobody_has_its_line_too():
    """Names, addresses and circles, once every part is right by itself."""
    said = refused("""\
        services:
          shop:
            depends_on: [database]
          database:
            depends_on: [shop]
        people:
          ada:
            contacts:
              - channel: sms
                to: "0170 1234567"
            fallback: grase
          grace:
            contacts: [{channel: hook, to: x}]
        escalation:
          policies:
            default:
              acknowledgement_timeout: 5m
              levels:
                - targets:
                    - channel: slack
                      to: #incidents
        channels:
          slack: {kind: slack, token: "${TOKEN}"}
          sms: {kind: sms, account_sid: "${A}", auth_token: "${B}", sender: "+15551234567"}
          hook: {kind: webhook, url: "http://a.example", fallback: sms}
        """)
    assert said == [
        (
            "3: services.shop.depends_on.0: the dependencies go round in a circle: shop -> "
            "database -> shop; each would hold the other's pages back, and nobody would be paged"
        ),
        (
            "10: people.ada.contacts.0.to: expected a phone number with its country code, such as "
            "+15551234567, got '0170 1234567'"
        ),
        "11: people.ada.fallback: no person 'grase'; did you mean 'grace'?",
        ("13: people.grace.contacts.0.to: a channel of kind webhook takes no address; remove it"),
        (
            "17: escalation.policies.default.acknowledgement_timeout: not longer than "
            "remind_before (10m where it is not given), so that nobody would be reminded; make it "
            "longer, or remind_before shorter: 0s reminds nobody"
        ),
        (
            "21: escalation.policies.default.levels.0.targets.0.to: missing, here and in the "
            'channel; give an address such as "#incidents" (a bare # is a comment)'
        ),
        (
            "25: channels.hook.fallback: 'sms' has no address of its own to take over with; give "
            "it one"
        ),
    ]


def patterns(schema):
    """Every pattern in a JSON schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for part in schema.values():
            yield from patterns(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from patterns(part)


def test_every_pattern_is_said_in_words():
    """Nobody should have to read a regular expression to learn what to write."""
    assert set(patterns(Policy.model_json_schema())) <= PATTERNS.keys()


@pytest.mark.parametrize(
    "text",
    [
        with_line("secret: whsec_topsecret"),
        with_line("headers: {Authorization: topsecret}"),
        with_line("headers: {Authorization: [topsecret]}"),
        "channels: {a: {kind: slack, token: topsecret}}",
        "channels: {a: {kind: slack, token: '${A}', app_token: topsecret}}",
        "channels: {a: {kind: slack, token: '${A}', signing_secret: [topsecret]}}",
        "channels: {a: {kind: pagerduty, routing_key: topsecret, webhook_secrets: topsecret}}",
        "channels: {a: {kind: sms, account_sid: topsecret, auth_token: topsecret}}",
        "channels: {a: {kind: email, host: a, username: topsecret, password: topsecret}}",
        "channels: {a: {kind: apprise, urls: topsecret}}",
        "channels: {a: {kind: apprise, urls: ['discord://topsecret']}}",
        "schedules: {a: {calendar: 'webcal://topsecret'}}",
        "channels: {a: {kind: webhook, url: 'http://a.example', secrets: topsecret}}",
        "channels: {a: {kind: webhook, url: 'http://a:topsecret@a.example'}}",
        "commands: {a: {argv: [a], environment: {API_TOKEN: topsecret}}}",
    ],
)
def test_a_secret_written_by_mistake_is_not_repeated(text):
    """What is said about the file ends up in logs."""
    assert "topsecret" not in "".join(refused(text))

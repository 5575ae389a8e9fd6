"""Owns the policy file: reading ``holdfast.yaml``, checking it whole, and taking a new one over."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, assert_never

from pydantic import JsonValue, ValidationError

from config.document import Document, Problem, refusal
from config.problems import problems
from config.secrets import Secrets
from holdfast.domain.action import HttpAction
from holdfast.domain.channel import (
    AppriseChannel,
    Channel,
    EmailChannel,
    PagerDutyChannel,
    SlackChannel,
    SmsChannel,
    WebhookChannel,
)
from holdfast.domain.model import Model
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError

HASH_DIGITS = 12

# Where a reference stands, what it says, and what gives its value or raises.
_Reference = tuple[str, str, Callable[[str], str]]


@dataclass(frozen=True)
class LoadedPolicy:
    """A valid policy and where it came from.

    Attributes:
        hash: 12 hexadecimal digits of what the policy says; comments and order of keys don't
            count, so that processes with the same hash do the same.
        text: The file as it was read.
    """

    policy: Policy
    path: Path
    text: str = field(repr=False)
    hash: str

    def describe(self) -> dict[str, JsonValue]:
        """What anybody may see of it, for ``GET /config``: secrets are references in it already."""
        return {"path": str(self.path), "hash": self.hash, "policy": _as_json(self.policy)}


class Change(Model):
    """One difference between two policies.

    Attributes:
        path: From the policy's root, with dots.
        old: What was there; None for nothing.
        new: What is there now; None for nothing.
    """

    path: str
    old: JsonValue = None
    new: JsonValue = None


class MissingSecret(NamedTuple):
    """A reference that leads to no secret.

    Attributes:
        path: Where the policy refers to it.
        reference: ``${NAME}`` or ``file:...``, or the text around it.
        problem: Why not, and what to do.
    """

    path: str
    reference: str
    problem: str


class PolicyHolder:
    """Holds a process's current policy, and keeps it when the file's next version is broken."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        self.current = loaded

    @property
    def policy(self) -> Policy:
        """The policy that new incidents follow."""
        return self.current.policy

    def reload(self) -> tuple[Change, ...]:
        """Read the file again and take over what it says now.

        Returns:
            What changed; nothing if the file says what it said before.

        Raises:
            ConfigurationError: If the file is broken; the present policy stays.
        """
        loaded, before = load(self.current.path), self.current
        self.current = loaded
        return tuple(_changes("", _as_json(before.policy), _as_json(loaded.policy)))


def load(path: Path) -> LoadedPolicy:
    """Read and check a policy file.

    Raises:
        ConfigurationError: If it can't be read or is wrong; the message has a line for each
            problem, with file, line, path and what was expected.
    """
    text = _read(path)
    policy = parse(text, str(path))
    canonical = json.dumps(_as_json(policy), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:HASH_DIGITS]
    return LoadedPolicy(policy=policy, path=path, text=text, hash=digest)


def parse(text: str, name: str = "holdfast.yaml") -> Policy:
    """Check the text of a policy file.

    Args:
        text: YAML.
        name: What messages call the file.

    Raises:
        ConfigurationError: As :func:`load`.
    """
    document = Document.read(text, name)
    data = document.data
    if data is None:
        raise ConfigurationError(f"{name} is empty; the smallest policy file says: version: 1")
    if not isinstance(data, dict):
        keys = ", ".join(Policy.model_fields)
        raise refusal(name, [Problem(1, (), f"expected a mapping with the keys {keys}")])
    # A section whose entries are all commented out is an empty one.
    given = {k: v for k, v in data.items() if v is not None or k not in Policy.model_fields}
    try:
        return Policy.model_validate(given, extra="forbid")
    except ValidationError as invalid:
        raise refusal(name, problems(document, invalid)) from invalid


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no policy file {path}; write one, or name another with HOLDFAST_CONFIG"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error


def _as_json(policy: Policy) -> dict[str, JsonValue]:
    return policy.model_dump(mode="json")


def _changes(path: str, old: JsonValue, new: JsonValue) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            yield from _changes(f"{path}.{key}".lstrip("."), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changes(f"{path}.{place}", before, after)
    else:
        yield Change(path=path, old=old, new=new)


def missing_secrets(policy: Policy, environment: Mapping[str, str]) -> list[MissingSecret]:
    """List the references that lead to no secret, for a process that is about to need them.

    Reads the files that are referred to.

    Args:
        policy: Where the references are.
        environment: What ``${NAME}`` is looked up in.
    """
    secrets = Secrets(environment)
    missing = []
    for path, reference, find in _references(policy, secrets):
        try:
            find(reference)
        except ConfigurationError as error:
            missing.append(MissingSecret(path, reference, str(error)))
    return missing


def _references(policy: Policy, secrets: Secrets) -> Iterator[_Reference]:
    """Every place that may refer to a secret, with the text there and how it is found."""
    yield from _service_references(policy, secrets)
    for name, command in policy.commands.items():
        yield from _filled(f"commands.{name}.environment", command.environment, secrets)
    for name, schedule in policy.schedules.items():
        if schedule.calendar and schedule.is_secret:
            yield f"schedules.{name}.calendar", schedule.calendar, secrets.resolve
    for path, secret in _numbered("intake.sentry.secrets", policy.intake.sentry.secrets):
        yield path, secret, secrets.resolve
    for name, channel in policy.channels.items():
        for key, reference in _channel_secrets(channel):
            if reference:
                yield f"channels.{name}.{key}", reference, secrets.resolve


def _service_references(policy: Policy, secrets: Secrets) -> Iterator[_Reference]:
    for name, service in policy.services.items():
        if service.health:
            path = f"services.{name}.health.headers"
            yield from _filled(path, service.health.headers, secrets)
        for action_name, action in service.actions.items():
            if isinstance(action, HttpAction):
                path = f"services.{name}.actions.{action_name}"
                yield from _filled(f"{path}.headers", action.headers, secrets)
                if action.secret:
                    yield f"{path}.secret", action.secret, secrets.resolve


def _channel_secrets(channel: Channel) -> Iterator[tuple[str, str | None]]:
    """Each place of a channel that may refer to a secret, with the reference if there is one."""
    match channel:
        case SlackChannel():
            yield "token", channel.token
            yield "signing_secret", channel.signing_secret
            yield "app_token", channel.app_token
        case WebhookChannel():
            yield from _numbered("secrets", channel.secrets)
        case PagerDutyChannel():
            yield "routing_key", channel.routing_key
            yield from _numbered("webhook_secrets", channel.webhook_secrets)
        case EmailChannel():
            yield "username", channel.username
            yield "password", channel.password
        case SmsChannel():
            yield "account_sid", channel.account_sid
            yield "auth_token", channel.auth_token
        case AppriseChannel():
            yield from _numbered("urls", channel.urls)
        case _:
            assert_never(channel)


def _numbered(key: str, references: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield from ((f"{key}.{place}", each) for place, each in enumerate(references))


def _filled(path: str, values: Mapping[str, str], secrets: Secrets) -> Iterator[_Reference]:
    for name, value in values.items():
        yield f"{path}.{name}", value, secrets.fill

"""Owns the proof that a request comes from Slack: its signature over the raw body, and its time."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from slack_sdk.signature import Clock, SignatureVerifier

from api.durations import write_duration
from config.secrets import Secrets
from holdfast.domain.channel import ChannelKind, SlackChannel
from holdfast.domain.directory import channels_of
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError, NotFound, Unauthenticated

log = structlog.get_logger(__name__)

# docs.slack.dev/authentication/verifying-requests-from-slack: what is older may be a replay.
_LATEST: Final = timedelta(minutes=5)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}")


class SlackSignatures:
    """Tells by its signature from which channel's Slack app a request comes.

    Args:
        policy: Gives the present policy.
        secrets: Gives the signing secrets; asked each time, so that a new one needs no restart.
    """

    def __init__(self, *, policy: Callable[[], Policy], secrets: Secrets) -> None:
        self._policy = policy
        self._secrets = secrets

    async def channel_of(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> str:
        """The name of the channel whose signing secret fits; one of a workspace's is enough.

        Args:
            body: As it was sent, not parsed before.
            headers: The request's, with their names in any case.
            now: The present moment.

        Raises:
            NotFound: If no Slack channel has a signing secret.
            Unauthenticated: If no secret fits, or the request is not of this moment.
            ConfigurationError: If every signing secret is missing.
        """
        references = dict(self._references())
        if not references:
            raise NotFound(
                "no Slack channel of the policy file has a signing secret, so nothing can come "
                "from Slack here; add signing_secret to the channel and reload the policy file"
            )
        given = {name.lower(): value for name, value in headers.items()}
        timestamp = _timestamp(given.get("x-slack-request-timestamp", ""), now=now)
        signature = _signature(given.get("x-slack-signature", ""))
        text = _text(body)
        for name, secret in (await self._secrets_of(references)).items():
            if SignatureVerifier(secret, _Now(now)).is_valid(text, timestamp, signature):
                return name
        raise Unauthenticated(
            "the signature fits no Slack channel's signing secret; compare signing_secret with "
            "the one under Basic Information in the Slack app's settings"
        )

    def _references(self) -> Iterator[tuple[str, str]]:
        for name, channel in channels_of(self._policy(), ChannelKind.SLACK).items():
            if isinstance(channel, SlackChannel) and channel.signing_secret:
                yield name, channel.signing_secret

    async def _secrets_of(self, references: Mapping[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        problems: list[ConfigurationError] = []
        for name, reference in references.items():
            try:
                found[name] = await asyncio.to_thread(self._secrets.resolve, reference)
            except ConfigurationError as error:
                # One workspace's missing secret must not lock the others out.
                log.warning("a signing secret is missing", channel=name, why=str(error))
                problems.append(error)
        if not found:
            raise problems[0]
        return found


class _Now(Clock):
    """The moment against which the whole request is checked."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> float:
        """The moment, in Unix time."""
        return self._now.timestamp()


def _timestamp(given: str, *, now: datetime) -> str:
    if not _TIMESTAMP.fullmatch(given):
        raise Unauthenticated(
            "the header X-Slack-Request-Timestamp is missing or no Unix time; only Slack sends "
            "requests here"
        )
    sent = datetime.fromtimestamp(int(given), UTC)
    away = abs(now - sent)
    if away > _LATEST:
        raise Unauthenticated(
            f"the request was signed {write_duration(away)} away from this machine's clock, which "
            f"says {now:%Y-%m-%d %H:%M:%S} UTC; {write_duration(_LATEST)} is allowed: set the "
            "clock, unless somebody sends an old request again"
        )
    return given


def _signature(given: str) -> str:
    if not _SIGNATURE.fullmatch(given):
        raise Unauthenticated(
            "the header X-Slack-Signature is missing or no v0 signature; only Slack sends "
            "requests here"
        )
    return given


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Unauthenticated("the body is no UTF-8 text, so Slack did not sign it") from error

"""What proves that a request comes from Slack, and what is said of one that does not."""

from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk.signature import SignatureVerifier

from api.slack.signature import SlackSignatures
from config.secrets import Secrets
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError, NotFound, Unauthenticated

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = b"payload=%7B%7D&name=\xc3\xbc"
SECRETS = {"SECRET": "the-teams", "OTHERS_SECRET": "the-others"}
SIGNED = "X-Slack-Signature"
SENT = "X-Slack-Request-Timestamp"


def signatures(**references):
    channels = {
        name: {"kind": "slack", "token": "${TOKEN}", "signing_secret": reference}
        for name, reference in references.items()
    }
    policy = Policy.model_validate({"channels": channels})
    return SlackSignatures(policy=lambda: policy, secrets=Secrets(SECRETS))


def headers(secret="the-teams", *, body=BODY, at=NOW):
    timestamp = str(int(at.timestamp()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
    return {SENT: timestamp, SIGNED: signature}


@pytest.mark.parametrize(("secret", "channel"), [("the-teams", "team"), ("the-others", "others")])
async def test_the_secret_that_fits_tells_the_channel(secret, channel):
    """Several workspaces may call; one whose secret is missing does not lock the others out."""
    several = signatures(broken="${ABSENT}", team="${SECRET}", others="${OTHERS_SECRET}")
    assert await several.channel_of(BODY, headers(secret), now=NOW) == channel


@pytest.mark.parametrize("away", [timedelta(minutes=-5), timedelta(minutes=5)])
async def test_five_minutes_are_allowed(away):
    """As much as Slack says; clocks differ and networks wait."""
    assert await signatures(team="${SECRET}").channel_of(BODY, headers(at=NOW + away), now=NOW)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (headers("of somebody else"), "fits no Slack channel's signing secret"),
        (headers(body=b"payload=%7B%7E"), "fits no Slack channel's signing secret"),
        (headers(at=NOW - timedelta(minutes=6)), "6m away from this machine's clock"),
        (headers(at=NOW + timedelta(minutes=6)), "6m away from this machine's clock"),
        ({SENT: ""}, "Timestamp is missing"),
        ({SENT: "yesterday"}, "no Unix time"),
        ({SENT: "9" * 400}, "no Unix time"),
        ({SENT: "99999999999"}, "away from this machine's clock"),
        ({SIGNED: ""}, "Signature is missing"),
        ({SIGNED: "v0=\xfc"}, "no v0 signature"),
    ],
)
async def test_what_proves_nothing_is_refused_with_what_was_wrong(changes, told):
    """A wrong clock and a wrong secret are put right in different places."""
    with pytest.raises(Unauthenticated, match=told):
        await signatures(team="${SECRET}").channel_of(BODY, headers() | changes, now=NOW)


async def test_what_is_no_text_was_not_signed_by_slack():
    """It is refused like any other wrong signature."""
    with pytest.raises(Unauthenticated, match="no UTF-8 text"):
        await signatures(team="${SECRET}").channel_of(b"\xff", headers(), now=NOW)


async def test_a_missing_secret_does_not_say_that_slack_signed_wrong():
    """Somebody has to set it on this machine, and not to look at the Slack app."""
    with pytest.raises(ConfigurationError, match="ABSENT is not set"):
        await signatures(team="${ABSENT}").channel_of(BODY, headers(), now=NOW)


async def test_without_any_secret_the_message_says_what_to_add():
    """No channel, or none that Slack may call."""
    with pytest.raises(NotFound, match="add signing_secret to the channel"):
        await signatures().channel_of(BODY, headers(), now=NOW)

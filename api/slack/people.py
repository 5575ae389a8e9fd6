"""Owns who is who: the person of the policy file behind a Slack user, and how to become one."""

from activities.channels.slack_blocks import escaped
from holdfast.domain.channel import ChannelKind
from holdfast.domain.custody import Actor, Via
from holdfast.domain.directory import actor, find_person
from holdfast.domain.policy import Policy

_USER = 50


def known(policy: Policy, user_id: str) -> Actor | None:
    """Whoever has a Slack user's id as one of their contacts; None for nobody."""
    key = find_person(policy, ChannelKind.SLACK, user_id)
    return actor(policy, key, via=Via.SLACK) if key else None


def how_to_link(user_id: str, *, channel: str) -> str:
    """What an unknown user is told, in Slack's markup.

    Args:
        user_id: Theirs in Slack.
        channel: The Slack channel of the policy file that brought their click.
    """
    lines = (
        "people:",
        "  your-name:",
        "    contacts:",
        f"      - {{channel: {channel}, to: {escaped(user_id, limit=_USER)}}}",
    )
    return (
        "Nothing was done: Holdfast does not know who you are. Have these lines added to "
        "holdfast.yaml, under the name that you go by there, and the file reloaded "
        "(`POST /api/system/config/reload`); then do it again.\n```" + "\n".join(lines) + "```"
    )

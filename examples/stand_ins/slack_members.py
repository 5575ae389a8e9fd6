"""Owns what people do in the Slack stand-in: they click, they type; Holdfast is told, signed."""

import json
from dataclasses import dataclass
from time import time
from typing import Any
from urllib.parse import urlencode

import httpx
from slack_sdk.signature import SignatureVerifier

from examples.stand_ins.callbacks import Callbacks
from examples.stand_ins.slack import TEAM, Message, SlackStandIn
from examples.stand_ins.slack_elements import Element
from examples.stand_ins.slack_rules import Refused

APP = "A0HOLDFAST"
COMMAND = "/holdfast"
# docs.slack.dev/interactivity: an app that takes longer is shown as not answering.
_ANSWERED_WITHIN = 3.0


@dataclass(frozen=True)
class SlackMembers:
    """The members of a workspace that Holdfast's app is installed in.

    What Slack would show them as an error is among the stand-in's refusals.
    """

    slack: SlackStandIn
    holdfast: Callbacks
    signing_secret: str

    async def click(
        self,
        message: Message,
        action_id: str,
        *,
        user: str,
        value: str | None = None,
        option: str | None = None,
    ) -> None:
        """Click something in a message.

        Args:
            message: As it is on the screen of whoever clicks, where an edit may not have arrived.
            action_id: The button or menu.
            user: Who clicks, by their id.
            value: Of a button, if the message has several of the kind.
            option: Of a menu: the chosen value; its first if not given.

        Raises:
            LookupError: If the message has no such thing.
        """
        block, element = message.clickable(action_id, value)
        action = _action(element, option) | {"block_id": block.get("block_id", "auto")}
        payload = self._interaction(message, user) | {"actions": [action]}
        form = {"payload": json.dumps(payload)}
        await self._tell("/slack/interactions", form, what=f"the click on {action_id}")

    async def command(self, text: str, *, user: str, channel: str) -> None:
        """Type ``/holdfast`` and a text; the answer is shown to whoever typed it."""
        channel_id = self.slack.channel_id(channel)
        form = {
            "team_id": TEAM,
            "team_domain": "stand-in",
            "channel_id": channel_id,
            "channel_name": channel.removeprefix("#"),
            "user_id": user,
            "user_name": user.lower(),
            "command": COMMAND,
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": self.slack.response_url(user, channel_id),
            "trigger_id": f"{time():.6f}.command",
        }
        answer = await self._tell("/slack/commands", form, what=f"{COMMAND} {text}")
        if answer is not None and (said := _said(answer)):
            self.slack.whisper(user, channel_id, said)

    def _interaction(self, message: Message, user: str) -> dict[str, Any]:
        return {
            "type": "block_actions",
            "api_app_id": APP,
            "team": {"id": TEAM, "domain": "stand-in"},
            "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": TEAM},
            "container": {
                "type": "message",
                "message_ts": message.ts,
                "channel_id": message.channel,
                "is_ephemeral": False,
            },
            "channel": {"id": message.channel, "name": message.sent_to.removeprefix("#")},
            "message": {
                "type": "message",
                "ts": message.ts,
                "text": message.text,
                "blocks": message.blocks,
            },
            "state": {"values": {}},
            "trigger_id": f"{time():.6f}.click",
            "response_url": self.slack.response_url(user, message.channel, message),
        }

    async def _tell(self, path: str, form: dict[str, str], *, what: str) -> httpx.Response | None:
        body = urlencode(form)
        timestamp = str(int(time()))
        verifier = SignatureVerifier(self.signing_secret)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": str(verifier.generate_signature(timestamp=timestamp, body=body)),
        }
        try:
            answer = await self.holdfast.post(
                self.holdfast.address(path),
                body.encode(),
                headers=headers,
                within=_ANSWERED_WITHIN,
            )
        except httpx.HTTPError as error:
            self.slack.refuse(Refused(f"{what}: operation_timeout ({type(error).__name__})"))
            return None
        if answer.status_code != httpx.codes.OK:
            refused = f"{what}: answered {answer.status_code}, not 200: {answer.text}"
            self.slack.refuse(Refused(refused))
            return None
        return answer


def _action(element: Element, option: str | None) -> dict[str, Any]:
    """What a click on a button, or a choice from a menu, is told as."""
    kept = ("type", "action_id", "text", "value", "style", "placeholder")
    action = {name: element[name] for name in kept if name in element}
    action["action_ts"] = f"{time():.6f}"
    if options := element.get("options"):
        chosen = (each for each in options if option in {None, each.get("value")})
        action["selected_option"] = next(chosen)
    return action


def _said(answer: httpx.Response) -> str:
    """What a command is answered with at once: plain text or JSON; nothing at all is allowed."""
    if "application/json" not in answer.headers.get("Content-Type", ""):
        return answer.text.strip()
    said = answer.json()
    return str(said.get("text", "")) if isinstance(said, dict) else ""

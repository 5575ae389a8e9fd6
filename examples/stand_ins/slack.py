"""Owns a stand-in for Slack: a workspace with one bot, which speaks the format of its Web API.

It refuses what Slack would refuse and keeps what it took. What members of the workspace do is in
``slack_members.py``.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from secrets import token_urlsafe
from time import time
from typing import Any

from aiohttp import web

from examples.stand_ins.server import StandIn
from examples.stand_ins.slack_elements import Element
from examples.stand_ins.slack_rules import Refused, check_content, check_message, elements

TEAM = "T0STANDIN"
SCOPES = "chat:write,commands"
# A response_url takes so many messages (docs.slack.dev/interactivity/handling-user-interaction).
_RESPONSES = 5
_JSON_FIELDS = ("blocks", "metadata")

Block = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """A message as a reader of the workspace sees it.

    Attributes:
        channel: The channel's id.
        sent_to: The channel as the sender named it.
        ts: Its time, and with the channel its identity.
        thread_ts: The message that it replies to.
        edits: How often it was changed.
    """

    channel: str
    sent_to: str
    ts: str
    text: str
    blocks: list[Block] = field(default_factory=list)
    thread_ts: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    edits: int = 0

    @property
    def edited(self) -> bool:
        """Whether it was changed."""
        return self.edits > 0

    @property
    def words(self) -> str:
        """All that its blocks say, a line each; its text where it has none."""
        return "\n".join(_words(self.blocks)) if self.blocks else self.text

    @property
    def offers(self) -> list[str]:
        """What can be clicked, by action id, each once."""
        return list(dict.fromkeys(each["action_id"] for _, each in elements(self.blocks)))

    def clickable(self, action_id: str, value: str | None = None) -> tuple[Block, Element]:
        """What can be clicked, with the block that it is in.

        Args:
            action_id: Which button or menu.
            value: With this value; by default the one among the message's own actions, if there
                are others beside its texts.

        Raises:
            LookupError: If the message has no such thing.
        """
        found = [
            (block, each)
            for block, each in elements(self.blocks)
            if each["action_id"] == action_id and value in {None, each.get("value")}
        ]
        if not found:
            raise LookupError(f"no {action_id} to click; there are {self.offers}")
        return max(found, key=lambda each: each[0]["type"] == "actions")


@dataclass(frozen=True)
class Whisper:
    """An answer that one member alone sees."""

    user: str
    channel: str
    text: str


@dataclass
class Reply:
    """Where a ``response_url`` leads: to whom, about which message, and how often it was used."""

    user: str
    channel: str
    message: Message | None = None
    used: int = 0


class SlackStandIn(StandIn):
    """A workspace with one bot.

    Args:
        token: The bot's; requests with any other are refused.
        channels: The only names and ids that exist; every name exists when not given.
        on_message: Told of each message that is posted or changed, to print it.
        on_whisper: Told of each answer that one member alone sees.
    """

    def __init__(
        self,
        token: str,
        *,
        channels: Iterable[str] | None = None,
        on_message: Callable[[Message], None] = lambda _: None,
        on_whisper: Callable[[Whisper], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.whispers: list[Whisper] = []
        self._token = token
        self._channels = None if channels is None else set(channels)
        self._on_message, self._on_whisper = on_message, on_whisper
        self._ids: dict[str, str] = {}
        self._numbers = count(1)
        self._replies: dict[str, Reply] = {}

    @property
    def base_url(self) -> str:
        """What stands in the policy file as the channel's ``base_url``."""
        return f"{self.url}/api/"

    def thread(self, message: Message) -> list[Message]:
        """What was posted into a message's thread."""
        mine = (message.channel, message.ts)
        return [each for each in self.messages if (each.channel, each.thread_ts) == mine]

    def now(self, message: Message) -> Message:
        """A message as it is by now."""
        mine = (message.channel, message.ts)
        return next(each for each in self.messages if (each.channel, each.ts) == mine)

    def response_url(self, user: str, channel: str, message: Message | None = None) -> str:
        """A new address for answers to what a member did."""
        name = token_urlsafe(12)
        self._replies[name] = Reply(user, channel, message)
        return f"{self.url}/responses/{name}"

    def whisper(self, user: str, channel: str, text: str) -> None:
        """Show something to one member alone."""
        whisper = Whisper(user, channel, text)
        self.whispers.append(whisper)
        self._on_whisper(whisper)

    def refuse(self, refused: Refused) -> None:
        """Keep why something was refused."""
        self.refusals.append(refused.error)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take a call of the Web API, or an answer to what a member did."""
        try:
            if request.path.startswith("/responses/"):
                self._respond(request.path.rpartition("/")[2], await request.json())
                return web.Response(text="ok")
            return web.json_response(
                {"ok": True} | await self._taken(request), headers={"X-OAuth-Scopes": SCOPES}
            )
        except Refused as refused:
            self.refuse(refused)
            body = {"ok": False, "error": refused.error}
            if refused.problems:
                body["errors"] = list(refused.problems)
            # Slack says "no" with status 200.
            return web.json_response(body)

    async def _taken(self, request: web.Request) -> dict[str, Any]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Refused("not_authed")
        if token != self._token:
            raise Refused("invalid_auth")
        if request.method != "POST":
            raise Refused("invalid_post_type")
        sent = await _read(request)
        match request.path.removeprefix("/api/"):
            case "chat.postMessage":
                return self._post(sent)
            case "chat.update":
                return self._update(sent)
            case "chat.postEphemeral":
                return self._whisper(sent)
            case "auth.test":
                return {"team": "Stand-in", "team_id": TEAM, "user": "holdfast", "bot_id": "B0BOT"}
            case _:
                raise Refused("unknown_method")

    def _post(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        check_message(sent)
        channel = self.channel_id(sent["channel"])
        thread = sent.get("thread_ts")
        if thread and not any(m.ts == thread and m.channel == channel for m in self.messages):
            raise Refused("thread_not_found")
        message = Message(
            channel=channel,
            sent_to=sent["channel"],
            ts=f"{int(time())}.{next(self._numbers):06d}",
            text=sent["text"],
            blocks=sent.get("blocks", []),
            thread_ts=thread,
            metadata=sent.get("metadata", {}),
        )
        self.messages.append(message)
        return self._told(message)

    def _update(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        check_message(sent)
        for old in self.messages:
            if (old.channel, old.ts) == (sent["channel"], sent.get("ts")):
                return self._told(self._edit(old, sent))
        raise Refused("message_not_found")

    def _edit(self, old: Message, sent: Mapping[str, Any]) -> Message:
        message = replace(
            old,
            text=sent["text"],
            blocks=sent.get("blocks", []),
            metadata=sent.get("metadata", old.metadata),
            edits=old.edits + 1,
        )
        place = next(n for n, each in enumerate(self.messages) if each.ts == old.ts)
        self.messages[place] = message
        return message

    def _whisper(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        check_message(sent)
        if not isinstance(sent.get("user"), str):
            raise Refused("user_not_in_channel")
        self.whisper(sent["user"], self.channel_id(sent["channel"]), sent["text"])
        return {"message_ts": f"{time():.6f}"}

    def _respond(self, name: str, sent: Mapping[str, Any]) -> None:
        reply = self._replies.get(name)
        if reply is None:
            raise Refused("expired_url")
        reply.used += 1
        if reply.used > _RESPONSES:
            raise Refused("used_url")
        check_content(sent)
        if reply.message and sent.get("replace_original"):
            self._on_message(self._edit(self.now(reply.message), sent))
        elif sent.get("response_type", "ephemeral") == "ephemeral":
            self.whisper(reply.user, reply.channel, sent["text"])
        else:
            self._post({**sent, "channel": reply.channel})

    def _told(self, message: Message) -> dict[str, Any]:
        self._on_message(message)
        shown = {"type": "message", "text": message.text, "ts": message.ts}
        return {"channel": message.channel, "ts": message.ts, "message": shown}

    def channel_id(self, name: str) -> str:
        """A channel's id; a member is reached in a direct channel, a name by its id."""
        if name in self._ids.values():
            return name
        if self._channels is not None and name not in self._channels:
            raise Refused("channel_not_found")
        kind = "D" if name.startswith("U") else "C"
        return self._ids.setdefault(name, f"{kind}{len(self._ids) + 1:08d}")


async def _read(request: web.Request) -> dict[str, Any]:
    """What a call says, in one of the two forms that Slack takes."""
    if request.content_type == "application/json":
        sent: dict[str, Any] = await request.json()
        return sent
    if not request.can_read_body:
        return {}
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused("invalid_post_type")
    form: dict[str, Any] = dict(await request.post())
    return form | {name: json.loads(form[name]) for name in _JSON_FIELDS if name in form}


def _words(shown: Any) -> list[str]:
    """Every text in blocks, in their order, but for the labels of what can be clicked."""
    if isinstance(shown, list):
        return [words for each in shown for words in _words(each)]
    if not isinstance(shown, dict) or shown.get("type") in {"actions", "button", "overflow"}:
        return []
    if isinstance(shown.get("text"), str):
        return [shown["text"]]
    return [words for each in shown.values() for words in _words(each)]

"""Owns a stand-in for Slack: a small server that speaks the wire format of its Web API.

It answers ``chat.postMessage`` and ``chat.update`` as Slack documents them, refuses what Slack
would refuse, and keeps what it took. Nothing leaves the machine.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from time import time
from typing import Any, Self

from aiohttp import web

from examples.demo.slack_rules import Refused, check_message

Trouble = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Message:
    """A message as a reader of the workspace sees it.

    Attributes:
        channel: The channel's id.
        sent_to: The channel as the sender named it.
        ts: Its time, and with the channel its identity.
        thread_ts: The message that it replies to.
    """

    channel: str
    sent_to: str
    ts: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    edited: bool = False


class SlackStandIn:
    """A workspace with one bot.

    Args:
        token: The bot's; requests with any other are refused.
        channels: The only names and ids that exist; every name exists when not given.
        on_message: Told of each message that is posted or changed, to print it.
    """

    def __init__(
        self,
        token: str,
        *,
        channels: Iterable[str] | None = None,
        on_message: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self.messages: list[Message] = []
        self.refusals: list[str] = []
        self.troubles: deque[Trouble] = deque()
        self._token = token
        self._channels = None if channels is None else set(channels)
        self._on_message = on_message
        self._ids: dict[str, str] = {}
        self._numbers = count(1)
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        """What stands in the policy file as the channel's ``base_url``."""
        return f"http://127.0.0.1:{self._port}/api/"

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; port 0 takes a free one."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; the messages stay."""
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.troubles:
            return await self.troubles.popleft()(request)
        try:
            return web.json_response({"ok": True} | await self._taken(request))
        except Refused as refused:
            self.refusals.append(refused.error)
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
        if request.method != "POST" or request.content_type != "application/json":
            raise Refused("invalid_post_type")
        sent = await request.json()
        match request.path:
            case "/api/chat.postMessage":
                return self._post(sent)
            case "/api/chat.update":
                return self._update(sent)
            case _:
                raise Refused("unknown_method")

    def _post(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        check_message(sent)
        channel = self._channel_id(sent["channel"])
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
        for place, old in enumerate(self.messages):
            if (old.channel, old.ts) == (sent["channel"], sent.get("ts")):
                message = Message(
                    channel=old.channel,
                    sent_to=old.sent_to,
                    ts=old.ts,
                    text=sent["text"],
                    blocks=sent.get("blocks", []),
                    thread_ts=old.thread_ts,
                    metadata=sent.get("metadata", old.metadata),
                    edited=True,
                )
                self.messages[place] = message
                return self._told(message)
        raise Refused("message_not_found")

    def _told(self, message: Message) -> dict[str, Any]:
        self._on_message(message)
        shown = {"type": "message", "text": message.text, "ts": message.ts}
        return {"channel": message.channel, "ts": message.ts, "message": shown}

    def _channel_id(self, name: str) -> str:
        """A channel's id; a member is reached in a direct channel, a name by its id."""
        if name in self._ids.values():
            return name
        if self._channels is not None and name not in self._channels:
            raise Refused("channel_not_found")
        kind = "D" if name.startswith("U") else "C"
        return self._ids.setdefault(name, f"{kind}{len(self._ids) + 1:08d}")


def trouble(
    status: int, *, error: str | None = None, headers: Mapping[str, str] | None = None
) -> Trouble:
    """An answer for ``troubles``, whose entries are given in turn instead of the real one."""

    async def answer(_: web.Request) -> web.StreamResponse:
        if error is None:
            return web.Response(status=status, headers=headers, text="upstream is not well")
        return web.json_response({"ok": False, "error": error}, status=status, headers=headers)

    return answer

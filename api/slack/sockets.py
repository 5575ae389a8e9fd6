"""Owns Socket Mode: clicks and commands over a connection that this process opens to Slack."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from activities.channels.slack_failure import RefusedBySlack, failure
from activities.outbound import cause
from api.slack.answers import tell
from api.slack.desk import SlackDesk
from api.slack.interaction import Command, Interaction
from config.secrets import Secrets
from holdfast.domain.channel import ChannelKind, SlackChannel
from holdfast.domain.directory import channels_of
from holdfast.domain.policy import Policy
from holdfast.errors import ConfigurationError, InvalidInput

log = structlog.get_logger(__name__)

# The address that Slack gives is good for one connection, made soon. While none comes about the
# SDK tries the one address again and again; so often it gets a new one.
_NEW_ADDRESS_EVERY: Final = timedelta(seconds=30)
# For Slack to say goodbye; a process that ends has little more.
_GOODBYE: Final = timedelta(milliseconds=500)


class SlackSockets:
    """Keeps one connection for each app token, and opens it again whenever it is lost.

    The tokens are those of the policy at the start: a channel that a reload adds, or to which it
    gives another token, is heard from the process's next start on. Who is who is asked each time.

    Args:
        desk: Does what comes.
        policy: Gives the present policy.
        secrets: Gives the tokens.
    """

    def __init__(self, *, desk: SlackDesk, policy: Callable[[], Policy], secrets: Secrets) -> None:
        self._desk = desk
        self._policy = policy
        self._secrets = secrets
        self._clients: dict[str, SocketModeClient] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to connect, without waiting for Slack; a token that is missing is logged."""
        for name, channel in channels_of(self._policy(), ChannelKind.SLACK).items():
            if not isinstance(channel, SlackChannel) or not channel.app_token:
                continue
            try:
                token = await asyncio.to_thread(self._secrets.resolve, channel.app_token)
            except ConfigurationError as error:
                log.warning("Slack is not heard over Socket Mode", channel=name, why=str(error))
                continue
            if token not in self._clients:
                self._open(token, name, channel)

    def _open(self, token: str, name: str, channel: SlackChannel) -> None:
        client = SocketModeClient(
            app_token=token, web_client=AsyncWebClient(base_url=channel.base_url)
        )

        async def hear(_: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
            await self._hear(client, request, channel=name)

        client.socket_mode_request_listeners.append(hear)
        self._clients[token] = client
        self._tasks.append(asyncio.create_task(_stay_connected(client, channel=name)))

    async def stop(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.gather(*(_close(each) for each in self._clients.values()))
        self._clients = {}

    async def _hear(
        self, client: SocketModeClient, request: SocketModeRequest, *, channel: str
    ) -> None:
        # First: what is not acknowledged within three seconds is sent again.
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
        try:
            match request.type:
                case "interactive":
                    interaction = Interaction.read(request.payload)
                    await self._desk.interact(interaction, channel=channel)
                case "slash_commands":
                    command = Command.read(request.payload)
                    if answer := await self._desk.command(command, channel=channel):
                        await tell(command.response_url, answer)
                case other:
                    log.info("Slack sent what is not asked for", type=other, channel=channel)
        except InvalidInput as error:
            log.warning("Slack sent what can't be read", channel=channel, why=str(error))


async def _stay_connected(client: SocketModeClient, *, channel: str) -> None:
    """Connect, unless Slack refuses the token; the SDK connects again whenever it has to."""
    if problem := await _refusal(client):
        log.error(
            "Slack refuses the channel's app token; nothing is heard over Socket Mode until it is "
            "put right and the process is started again",
            channel=channel,
            why=problem,
        )
        return
    connecting = asyncio.create_task(client.connect())  # type: ignore[no-untyped-call]  # not typed
    try:
        while True:
            await asyncio.sleep(_NEW_ADDRESS_EVERY.total_seconds())
            if not await client.is_connected():
                log.warning("Slack is not connected over Socket Mode", channel=channel)
                client.wss_uri = None
    finally:
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)


async def _refusal(client: SocketModeClient) -> str | None:
    """Why Slack takes no connection with the token; None if it does, or can't say now."""
    try:
        opened = await client.web_client.apps_connections_open(app_token=client.app_token)
        client.wss_uri = opened["url"]
    except SlackApiError as error:
        problem = failure(error)
        return str(problem) if isinstance(problem, RefusedBySlack) else None
    except (aiohttp.ClientError, TimeoutError) as error:
        log.info("Slack cannot be reached for Socket Mode yet", why=cause(error))
    return None


async def _close(client: SocketModeClient) -> None:
    """Close a connection and end the tasks of the SDK, which only asks them to."""
    try:
        async with asyncio.timeout(_GOODBYE.total_seconds()):
            await client.close()  # type: ignore[no-untyped-call]  # not typed
    except (TimeoutError, aiohttp.ClientError) as error:
        log.info("Slack was left without a goodbye", why=cause(error))
    given = (client.message_processor, client.current_session_monitor, client.message_receiver)
    tasks = [each for each in given if each]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aiohttp_client_session.close()

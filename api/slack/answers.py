"""Owns what somebody in Slack is told privately, through the URL that came with their request."""

from http import HTTPStatus
from typing import Any, Final

import aiohttp
import structlog
from slack_sdk.webhook.async_client import AsyncWebhookClient

from activities.channels.slack_blocks import TEXT, escaped
from activities.outbound import cause
from holdfast.errors import HoldfastError, Unavailable

log = structlog.get_logger(__name__)

# Nobody waits for the answer's answer any more.
_TIMEOUT_SECONDS: Final = 5


def private(markup: str) -> dict[str, Any]:
    """An answer that nobody else sees, as Slack takes it; the message it is about stays."""
    return {"response_type": "ephemeral", "replace_original": False, "text": markup}


def plainly(words: str) -> str:
    """Words of ours or of a report as markup."""
    return escaped(words, limit=TEXT)


def refusal(error: HoldfastError) -> str:
    """Why nothing was done, as markup."""
    if isinstance(error, Unavailable):
        # "Yet": what Temporal took without a worker to answer may still be done.
        return plainly(f"Nothing was done yet: {error}. Try again in a moment.")
    return plainly(f"Nothing was done: {error}.")


async def tell(response_url: str | None, markup: str) -> None:
    """Tell whoever asked; who can't be told any more is not, and the log says so."""
    if response_url is None:
        log.warning("somebody in Slack was not answered", why="Slack gave no response_url")
        return
    client = AsyncWebhookClient(response_url, timeout=_TIMEOUT_SECONDS)
    try:
        response = await client.send_dict(private(markup))
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("somebody in Slack was not answered", why=cause(error))
        return
    if response.status_code != HTTPStatus.OK:
        why = f"Slack answered {response.status_code}: {response.body}"
        log.warning("somebody in Slack was not answered", why=why)

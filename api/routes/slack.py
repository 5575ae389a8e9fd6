"""Owns the routes that Slack itself calls: clicks in messages, and what is typed after /holdfast.

What lets a request in is its signature, not a key of the API.
"""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from api.slack.answers import private
from api.slack.front import SlackFront
from api.slack.interaction import Command, Interaction
from holdfast.errors import InvalidInput

# Slack's way in: what it sends is Slack's to document.
router = APIRouter(prefix="/slack", include_in_schema=False)


def _front(request: Request) -> SlackFront:
    front: SlackFront = request.app.state.services.slack
    return front


Front = Annotated[SlackFront, Depends(_front)]


@router.post("/interactions")
async def take_interaction(request: Request, front: Front) -> Response:
    """Do what was clicked; Slack wants to hear 200 within three seconds, whatever comes of it."""
    channel, form = await _signed(request, front)
    if "payload" not in form:
        raise InvalidInput("the form holds no payload", field="payload")
    await front.desk.interact(Interaction.read(form["payload"]), channel=channel)
    return Response()


@router.post("/commands")
async def take_command(request: Request, front: Front) -> Response:
    """Do what was typed and say what came of it, at once or later."""
    channel, form = await _signed(request, front)
    answer = await front.desk.command(Command.read(form), channel=channel)
    return JSONResponse(private(answer)) if answer else Response()


async def _signed(request: Request, front: SlackFront) -> tuple[str, dict[str, str]]:
    """The channel from whose Slack app a request comes, and its form, read only then."""
    body = await request.body()
    now = datetime.now(UTC)
    channel = await front.signatures.channel_of(body, request.headers, now=now)
    return channel, dict(parse_qsl(body.decode()))

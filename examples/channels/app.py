"""The service's endpoints: what its channels do, how they are, and the actions on them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response

from examples.channels.channel import Channel
from examples.channels.request import Act, Signature
from examples.channels.settings import Feed, Settings
from examples.channels.station import Station
from examples.channels.view import ChannelView, Outcome, Status
from holdfast.client import Holdfast
from holdfast.integrations.asgi import HoldfastMiddleware

SERVICE = "channels"

router = APIRouter()


def create_app(settings: Settings) -> FastAPI:
    """Put the service together; its channels go on the air when the app starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with app.state.station.on_air():
            yield

    app = FastAPI(title="Channels", lifespan=lifespan)
    url, key, secret = settings.holdfast_url, settings.holdfast_key, settings.action_secret
    holdfast = Holdfast(str(url), key.get_secret_value(), service=SERVICE)
    # Answers of 503 tell of a channel, and the watcher reports those.
    app.add_middleware(HoldfastMiddleware, holdfast=holdfast, error_answers=False)
    app.state.station = Station(settings, holdfast)
    app.state.signature = Signature(secret.get_secret_value() if secret else None)
    app.include_router(router)
    return app


def _station(request: Request) -> Station:
    station: Station = request.app.state.station
    return station


TheStation = Annotated[Station, Depends(_station)]


def _channel(name: str, station: TheStation) -> Channel:
    if name not in station.channels:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no channel is called {name!r}")
    return station.channels[name]


async def _signed(request: Request) -> None:
    signature: Signature = request.app.state.signature
    await signature.verify(request)


class _Actor:
    """Carries an action out, once per path and ``Idempotency-Key``; 503 when it did not succeed."""

    def __init__(
        self,
        request: Request,
        response: Response,
        station: TheStation,
        idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
    ) -> None:
        self._key = f"{request.url.path} {idempotency_key or uuid4()}"
        self._response = response
        self._answers = station.answers

    async def __call__(self, act: Act) -> Outcome:
        outcome = await self._answers.once(self._key, act)
        if not outcome.done:
            self._response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return outcome


Actor = Annotated[_Actor, Depends()]
SIGNED = [Depends(_signed)]


@router.get("/health")
async def health(station: TheStation, response: Response) -> dict[str, object]:
    """Tell whether the service itself does its work; each channel has a health of its own."""
    if not station.watched:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return {"watching": station.watched, "channels": len(station.channels)}


@router.get("/channels")
async def channels(station: TheStation) -> list[ChannelView]:
    """List the channels in the order of their file."""
    now = datetime.now(UTC)
    return [channel.view(now) for channel in station.channels.values()]


@router.get("/channels/{name}")
async def channel(channel: Annotated[Channel, Depends(_channel)]) -> ChannelView:
    """Tell all about one channel, but its stream keys."""
    return channel.view(datetime.now(UTC))


@router.get("/channels/{name}/health")
async def channel_health(
    channel: Annotated[Channel, Depends(_channel)], response: Response
) -> ChannelView:
    """Answer 200 while frames advance, otherwise 503 with the reason."""
    view = channel.view(datetime.now(UTC))
    if view.status is not Status.ON_AIR:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return view


@router.get("/channels/{name}/preview")
def preview(channel: Annotated[Channel, Depends(_channel)]) -> Response:
    """Show a still picture of the last second; 404 while previews or the channel are off."""
    if channel.preview is None or not channel.preview.exists():
        raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no preview of {channel.name} now")
    return Response(channel.preview.read_bytes(), media_type="image/jpeg")


@router.post("/channels/{name}/restart", dependencies=SIGNED)
async def restart(channel: Annotated[Channel, Depends(_channel)], actor: Actor) -> Outcome:
    """Publish anew to the present ingest."""
    return await actor(channel.restart)


@router.post("/channels/{name}/fallback", dependencies=SIGNED)
async def fallback(channel: Annotated[Channel, Depends(_channel)], actor: Actor) -> Outcome:
    """Publish to the standby ingest."""
    return await actor(lambda: channel.move(Feed.STANDBY))


@router.post("/channels/{name}/restore", dependencies=SIGNED)
async def restore(channel: Annotated[Channel, Depends(_channel)], actor: Actor) -> Outcome:
    """Publish to the primary ingest again."""
    return await actor(lambda: channel.move(Feed.PRIMARY))

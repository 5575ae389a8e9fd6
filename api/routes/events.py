"""Owns the routes of guidance: what every process that calls a service, or is it, goes by."""

import json
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from api.authentication import Reporter
from api.dependencies import ServicesDependency
from api.documentation import Responses, example
from api.event_stream import MEDIA_TYPE, EventStreamResponse, event
from api.examples_of_breakers import GUIDANCE
from holdfast.domain.guidance import ServiceGuidance
from holdfast.domain.model import Name
from holdfast.errors import Unavailable

router = APIRouter(tags=["protection"])

_MOST_SERVICES: Final = 1000

Wanted = Annotated[
    frozenset[Name],
    Query(
        alias="service",
        max_length=_MOST_SERVICES,
        description="Only of these services; of all when not given.",
        examples=[["payments", "channels"]],
    ),
]


class Guidance(BaseModel):
    """How things stand, of every service that the policy file or the record knows.

    A service that is missing is unknown: its breaker is closed, has the built-in rules, and no
    feature is off.
    """

    revision: str = Field(
        description="Names this state of things; the same in all processes.",
        examples=["3f2a9c0d1e4b.42"],
    )
    services: list[ServiceGuidance] = Field(description="By service.")


def _shown() -> Responses:
    services = json.dumps({"services": GUIDANCE["services"]})
    told = [
        event("snapshot", services, position=GUIDANCE["revision"]),
        event("heartbeat", '{"current":true}'),
    ]
    text = "retry: 1000\n\n" + b"".join(told).decode()
    return {200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": text}}}}


class _Events(Response):
    """What the OpenAPI document is to promise: no JSON."""

    media_type = MEDIA_TYPE


@router.get(
    "/events",
    summary="Hear of every change",
    response_description="Server-sent events, without end.",
    response_class=_Events,
    responses=_shown(),
)
async def stream_events(
    services: ServicesDependency,
    _: Reporter,
    service: Wanted = frozenset(),
    last_event_id: Annotated[
        str | None,
        Header(
            description="The id of the last event that was heard.", examples=["3f2a9c0d1e4b.42"]
        ),
    ] = None,
) -> Response:
    """Follow breakers and features as they change, as server-sent events.

    The first event is a `snapshot`: `services` has all that is known. After it each `service` is
    one service as it is now, the whole of it. A client that comes again with `Last-Event-ID` gets
    what changed since, or a snapshot if that can't be told. A `heartbeat` comes every five
    seconds; where it says `current: false`, this process hears of no changes for now.
    """
    wanted = service or None
    stream = await services.feed.join(wanted, position=last_event_id)
    return EventStreamResponse(stream, on_end=services.feed.leave)


@router.get(
    "/features",
    summary="How things stand",
    response_description="Breakers and features as they are now.",
    response_model=Guidance,
    responses=example(GUIDANCE),
)
async def get_features(
    services: ServicesDependency,
    _: Reporter,
    service: Wanted = frozenset(),
    if_none_match: Annotated[
        str | None,
        Header(description="The `ETag` of an answer before; 304 if nothing has changed since."),
    ] = None,
) -> Response:
    """Read what `GET /events` tells, as one document, where a stream does not get through.

    503 while this process hears of no changes: what it knows may be old.
    """
    feed = services.feed
    if not feed.is_current:
        raise Unavailable("this process does not hear of changes now")
    headers = {"ETag": f'"{feed.board.position}"', "Cache-Control": "no-cache"}
    if if_none_match and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    found = feed.board.notices(service or None)
    guidance = Guidance(revision=feed.board.position, services=[each.guidance for each in found])
    return Response(guidance.model_dump_json(), media_type="application/json", headers=headers)

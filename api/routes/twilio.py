"""Owns the routes that Twilio calls: with what people text, and with what became of a message."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import QueryParams

from api.twilio_inbox import TwilioInbox

# Twilio's way in: what it sends is Twilio's to document.
router = APIRouter(prefix="/twilio", include_in_schema=False)


def _inbox(request: Request) -> TwilioInbox:
    inbox: TwilioInbox = request.app.state.services.twilio
    return inbox


Inbox = Annotated[TwilioInbox, Depends(_inbox)]


async def _signed(request: Request, inbox: Inbox) -> QueryParams:
    # A form is written as a query is.
    form = QueryParams((await request.body()).decode(errors="replace"))
    await inbox.verify(request.url, form, request.headers.get("X-Twilio-Signature"))
    return form


Signed = Annotated[QueryParams, Depends(_signed)]


@router.post("/messages")
async def take_message(inbox: Inbox, form: Signed) -> Response:
    """Take what somebody texted; the answer is TwiML, which Twilio texts back."""
    return Response(await inbox.answer(form), media_type="application/xml")


@router.post("/status", status_code=HTTPStatus.NO_CONTENT)
async def take_status(
    inbox: Inbox,
    form: Signed,
    # Nothing but this may go into a query of Temporal's list.
    incident: Annotated[str, Query(pattern=r"^[0-9A-Za-z-]{1,64}$")],
    notification: Annotated[str, Query(min_length=1, max_length=200)],
) -> None:
    """Take what became of a message."""
    await inbox.report(incident, notification, form)

"""Owns the route that PagerDuty calls: its v3 webhooks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.pagerduty_inbox import PagerDutyInbox

# PagerDuty's way in: what it sends is PagerDuty's to document.
router = APIRouter(prefix="/pagerduty", include_in_schema=False)


def _inbox(request: Request) -> PagerDutyInbox:
    inbox: PagerDutyInbox = request.app.state.services.pagerduty
    return inbox


@router.post("/webhooks")
async def take_webhook(
    request: Request, inbox: Annotated[PagerDutyInbox, Depends(_inbox)]
) -> Response:
    """Take one event; a test (``pagey.ping``) and whatever has no counterpart here is a 200 too."""
    body = await request.body()
    await inbox.verify(body, request.headers.get("X-PagerDuty-Signature"))
    await inbox.take(body)
    return Response()

"""Owns the route that Sentry calls: the webhooks of its integrations."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.sentry_inbox import SentryInbox

# Sentry's way in: what it sends is Sentry's to document.
router = APIRouter(prefix="/sentry", include_in_schema=False)


def _inbox(request: Request) -> SentryInbox:
    inbox: SentryInbox = request.app.state.services.sentry
    return inbox


@router.post("/webhooks")
async def take_hook(request: Request, inbox: Annotated[SentryInbox, Depends(_inbox)]) -> Response:
    """Take one webhook; whatever has no counterpart here is a 200 too."""
    body = await request.body()
    await inbox.verify(body, request.headers.get("Sentry-Hook-Signature"))
    await inbox.take(body, resource=request.headers.get("Sentry-Hook-Resource"))
    return Response()

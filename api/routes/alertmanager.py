"""Owns the route that Alertmanager calls: its webhooks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from api.alertmanager_inbox import AlertmanagerInbox, AlertResult
from api.authentication import Reporter
from holdfast.domain.custody import Actor

# Alertmanager's way in: what it sends is Alertmanager's to document.
router = APIRouter(prefix="/alertmanager", include_in_schema=False)


class AlertResults(BaseModel):
    """One result for each alert, in their order."""

    results: list[AlertResult]


def _inbox(request: Request) -> AlertmanagerInbox:
    inbox: AlertmanagerInbox = request.app.state.services.alertmanager
    return inbox


@router.post("/webhooks", response_model_exclude_none=True)
async def take_alerts(
    request: Request,
    inbox: Annotated[AlertmanagerInbox, Depends(_inbox)],
    caller: Reporter,
) -> AlertResults:
    """Take a group of alerts; the key's name is who ends the incidents of those that are over."""
    results = await inbox.take(await request.body(), by=Actor(name=caller.name))
    return AlertResults(results=results)

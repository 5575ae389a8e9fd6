"""Owns the API as one application: its routes, its limits, its errors, its documents."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from api import documentation
from api.body_limit import BATCH_LIMIT, LIMIT, BodyLimit
from api.problems import handle_problems
from api.routes import (
    act,
    alertmanager,
    audit,
    breakers,
    configuration,
    deeds,
    degradations,
    escalations,
    events,
    health,
    incidents,
    keys,
    oncall,
    outcomes,
    pagerduty,
    recovery,
    reports,
    sentry,
    silences,
    simulation,
    slack,
    status,
    twilio,
)
from api.services import Services
from config.version import running_version

PREFIX: Final = "/api/system"

_ROUTERS: Final = (
    health,
    status,
    reports,
    incidents,
    deeds,
    escalations,
    simulation,
    oncall,
    silences,
    recovery,
    breakers,
    events,
    outcomes,
    degradations,
    audit,
    configuration,
    keys,
)
# What vendors call, and people without a key: each request proves itself by its signature, but for
# Alertmanager's, which brings a key.
_OUTSIDE: Final = (slack, twilio, pagerduty, act, sentry, alertmanager)
_BODY_LIMITS: Final[Mapping[str, int]] = {
    f"{PREFIX}/errors": BATCH_LIMIT,
    f"{PREFIX}/outcomes": BATCH_LIMIT,
    # Slack sends the whole clicked message back, as a form.
    "/slack/interactions": BATCH_LIMIT,
    "/alertmanager/webhooks": BATCH_LIMIT,
    # An event with its breadcrumbs may have a MiB, before it is wrapped.
    "/sentry/webhooks": 2 * BATCH_LIMIT,
}


def create_app(services: Services) -> FastAPI:
    """The API over a process's services, which the application's shutdown closes."""

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncIterator[None]:
        # Here, and not behind the server: it passes the signal on that ended it, once it has shut
        # down, and the process is gone.
        yield
        await services.close()

    app = FastAPI(
        title=documentation.TITLE,
        summary=documentation.SUMMARY,
        description=documentation.DESCRIPTION,
        version=running_version(),
        openapi_tags=documentation.TAGS,
        openapi_url=f"{PREFIX}/openapi.json",
        redoc_url=None,
        # One schema for a model, be it sent or answered.
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=closing,
    )
    app.state.services = services
    app.add_middleware(BodyLimit, limit=LIMIT, exceptions=_BODY_LIMITS)
    handle_problems(app)
    for each in _ROUTERS:
        responses = {} if each is health else documentation.EVERYWHERE
        app.include_router(each.router, prefix=PREFIX, responses=responses)
    for each in _OUTSIDE:
        app.include_router(each.router, include_in_schema=False)
    documentation.document(app)
    return app

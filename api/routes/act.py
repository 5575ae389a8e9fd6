"""Owns the page to which an email leads: by it people act on an incident once, without a key.

Mail scanners follow links, so that looking at the page changes nothing; only its buttons do.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final, assert_never

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from activities.action_link import ActionLink
from api.dependencies import ServicesDependency
from api.durations import write_duration
from api.incident_desk import IncidentDesk, Source
from holdfast.domain import directory
from holdfast.domain.custody import Actor, Via
from holdfast.domain.incident import Incident
from holdfast.domain.policy import Policy
from holdfast.errors import Conflict, HoldfastError, InvalidInput, Unavailable

_SNOOZE: Final = timedelta(hours=1)
_LONGEST_NOTE: Final = 4000

_templates: Final = Environment(
    loader=PackageLoader("api", "web/act"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_style: Final = Markup(_templates.get_template("style.css").render())  # noqa: S704  # our own file
_style_hash: Final = base64.b64encode(hashlib.sha256(_style.encode()).digest()).decode()

_HEADERS: Final = {
    # The address is a key: no cache keeps the page, and no other site is told where it was.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{_style_hash}'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

_HEADINGS: Final = {
    HTTPStatus.NOT_FOUND: "This link leads nowhere",
    HTTPStatus.GONE: "This link is too old",
    HTTPStatus.SERVICE_UNAVAILABLE: "Holdfast can't do this now",
}


class Action(StrEnum):
    """What the page's buttons do."""

    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    ESCALATE = "escalate"
    RESOLVE = "resolve"


class _RouteForPeople(APIRoute):
    """Shows errors as a page: whoever comes here comes from an email, and is no program."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors shown."""
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except HoldfastError as error:
                return _problem_page(error)
            except RequestValidationError:
                return _problem_page(InvalidInput("the form did not arrive as it was sent"))

        return handle_for_people


router = APIRouter(prefix="/act/{token}", include_in_schema=False, route_class=_RouteForPeople)


@dataclass(frozen=True)
class _Visit:
    """Somebody who came by a link that is good, for what one can see of it."""

    link: ActionLink
    by: Actor
    desk: IncidentDesk


async def _visit(services: ServicesDependency, token: str) -> _Visit:
    link = services.action_links.read(token)
    return _Visit(link, _actor(services.holder.policy, link), services.incident_desk)


Visit = Annotated[_Visit, Depends(_visit)]


@router.get("")
async def show_action_page(visit: Visit) -> Response:
    """Show the incident and what can be done."""
    incident, source = await visit.desk.get(visit.link.incident_id)
    return _incident_page(incident, visit, source=source)


@router.post("")
async def act_by_link(
    visit: Visit, action: Annotated[str, Form()] = "", note: Annotated[str, Form()] = ""
) -> Response:
    """Do what a button says, and show what came of it."""
    try:
        incident = await _carry_out(visit, _action(action), note=_note(note))
    except Conflict as error:
        incident, source = await visit.desk.get(visit.link.incident_id)
        return _incident_page(incident, visit, source=source, refusal=error)
    return _incident_page(incident, visit, done=_done(Action(action), incident))


def _actor(policy: Policy, link: ActionLink) -> Actor:
    if link.person:
        return directory.actor(policy, link.person, via=Via.EMAIL)
    return Actor(name=link.address, via=Via.EMAIL)


def _action(value: str) -> Action:
    try:
        return Action(value)
    except ValueError as error:
        choices = ", ".join(Action)
        raise InvalidInput(f"expected one of {choices}, got {value[:50]!r}") from error


def _note(value: str) -> str | None:
    # Browsers count a line break as one character, and send two.
    note = value.replace("\r\n", "\n").strip()
    if len(note) > _LONGEST_NOTE:
        raise InvalidInput(f"a note may have {_LONGEST_NOTE} characters; this has {len(note)}")
    return note or None


async def _carry_out(visit: _Visit, action: Action, *, note: str | None) -> Incident:
    incident_id, by, link = visit.link.incident_id, visit.by, visit.link.notification_id
    match action:
        case Action.ACKNOWLEDGE:
            return await visit.desk.acknowledge(incident_id, by=by, link=link)
        case Action.SNOOZE:
            until = datetime.now(UTC) + _SNOOZE
            return await visit.desk.snooze(incident_id, by=by, until=until, link=link)
        case Action.ESCALATE:
            return await visit.desk.escalate(incident_id, by=by, link=link)
        case Action.RESOLVE:
            return await visit.desk.resolve(incident_id, by=by, note=note, link=link)
        case _:
            assert_never(action)


def _done(action: Action, incident: Incident) -> str:
    match action:
        case Action.ACKNOWLEDGE:
            return "You have it now: nobody else is paged."
        case Action.SNOOZE:
            until = incident.custody.snoozed_until or datetime.now(UTC) + _SNOOZE
            return f"Nobody is paged until {until:%H:%M} UTC."
        case Action.ESCALATE:
            return "The next level is paged now."
        case Action.RESOLVE:
            return "It is over: whoever was told is told so."
        case _:
            assert_never(action)


def _incident_page(
    incident: Incident,
    visit: _Visit,
    *,
    source: Source = Source.WORKFLOW,
    done: str | None = None,
    refusal: Conflict | None = None,
) -> Response:
    is_used = done is not None or visit.link.notification_id in incident.custody.used_links
    age = max(datetime.now(UTC) - incident.opened_at, timedelta(0))
    return _page(
        "incident.html",
        status=refusal.status if refusal else HTTPStatus.OK,
        title=incident.title,
        incident=incident,
        visitor=visit.by.name,
        age=write_duration(age),
        done=done,
        refusal=_sentence(refusal) if refusal else None,
        is_used=is_used,
        is_behind=source is Source.RECORD and not incident.is_resolved,
        longest_note=_LONGEST_NOTE,
    )


def _problem_page(error: HoldfastError) -> Response:
    passing = isinstance(error, Unavailable)
    heading = _HEADINGS.get(HTTPStatus(error.status), "This could not be done")
    response = _page(
        "problem.html",
        status=error.status,
        title=heading,
        # What the stores say of themselves is nothing to whoever holds a link.
        detail=None if passing else _sentence(error),
        is_passing=passing,
    )
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    return response


def _sentence(error: HoldfastError) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."


def _page(template: str, *, status: int, **shown: Any) -> Response:
    page = _templates.get_template(template).render(style=_style, **shown)
    return HTMLResponse(page, status_code=status, headers=_HEADERS)

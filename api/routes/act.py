"""Owns what the page of an email does: by its link people act on an incident once, without a key.

Mail scanners follow links, so that looking at the page changes nothing; only its buttons do.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, assert_never

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from activities.action_link import ActionLink
from api.action_page import LONGEST_NOTE, Shown, incident_page, problem_page
from api.dependencies import ServicesDependency
from api.incident_desk import IncidentDesk, Source
from holdfast.domain import directory
from holdfast.domain.custody import Actor, Via
from holdfast.domain.incident import Incident
from holdfast.domain.policy import Policy
from holdfast.domain.target import Target
from holdfast.errors import Conflict, HoldfastError, InvalidInput

_SNOOZE: Final = timedelta(hours=1)


class Action(StrEnum):
    """What the page's buttons do."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    SNOOZE = "snooze"
    ESCALATE = "escalate"
    REASSIGN = "reassign"
    NOTE = "note"
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
                return problem_page(error)
            except RequestValidationError:
                return problem_page(InvalidInput("the form did not arrive as it was sent"))

        return handle_for_people


router = APIRouter(prefix="/act/{token}", include_in_schema=False, route_class=_RouteForPeople)


@dataclass(frozen=True)
class _Visit:
    """Somebody who came by a link that is good, for what one can see of it."""

    link: ActionLink
    by: Actor
    desk: IncidentDesk
    policy: Policy

    async def page(self) -> Shown:
        """The incident as it is, for them to see."""
        incident, source = await self.desk.get(self.link.incident_id)
        return self.shows(incident, source=source)

    def shows(self, incident: Incident, *, source: Source = Source.WORKFLOW) -> Shown:
        """An incident for them to see."""
        return Shown(
            incident=incident,
            visitor=self.by.name,
            link=self.link.notification_id,
            targets={value: self.named(each) for value, each in _targets(self.policy).items()},
            source=source,
        )

    def named(self, target: Target) -> str:
        """Whom an incident is handed to, as people read it."""
        if target.person:
            return directory.display_name(self.policy.people, target.person)
        return f"whoever is {target}"


async def _visit(services: ServicesDependency, token: str) -> _Visit:
    link, policy = services.action_links.read(token), services.holder.policy
    return _Visit(link, _actor(policy, link), services.incident_desk, policy)


Visit = Annotated[_Visit, Depends(_visit)]


@router.get("")
async def show_action_page(visit: Visit) -> Response:
    """Show the incident and what can be done."""
    return incident_page(await visit.page())


@router.post("")
async def act_by_link(
    visit: Visit,
    action: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
    to: Annotated[str, Form()] = "",
) -> Response:
    """Do what a button says, and show what came of it."""
    try:
        incident, done = await _carry_out(visit, _action(action), note=_note(note), to=to)
    except Conflict as error:
        return incident_page(replace(await visit.page(), refusal=error))
    return incident_page(replace(visit.shows(incident), done=done))


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
    if len(note) > LONGEST_NOTE:
        raise InvalidInput(f"a note may have {LONGEST_NOTE} characters; this has {len(note)}")
    return note or None


def _targets(policy: Policy) -> dict[str, Target]:
    """Whom an incident can be handed to, by what the form sends."""
    targets = [Target(person=key) for key in policy.people]
    targets += [Target(schedule=key) for key in policy.schedules]
    return {str(each): each for each in targets}


async def _carry_out(
    visit: _Visit, action: Action, *, note: str | None, to: str
) -> tuple[Incident, str]:
    """Do what a button says; gives the incident as it is then, and what came of it."""
    desk, incident_id = visit.desk, visit.link.incident_id
    by, link = visit.by, visit.link.notification_id
    match action:
        case Action.ACKNOWLEDGE:
            deed = desk.acknowledge(incident_id, by=by, link=link)
            done = "You have it now: nobody else is paged."
        case Action.UNACKNOWLEDGE:
            deed = desk.unacknowledge(incident_id, by=by, link=link)
            done = "Nobody has it now: its escalation goes on."
        case Action.SNOOZE:
            until = datetime.now(UTC) + _SNOOZE
            deed = desk.snooze(incident_id, by=by, until=until, link=link)
            done = f"Nobody is paged until {until:%H:%M} UTC."
        case Action.ESCALATE:
            deed = desk.escalate(incident_id, by=by, link=link)
            done = "The next level is paged now."
        case Action.REASSIGN:
            target = _targets(visit.policy).get(to)
            if target is None:
                raise InvalidInput(f"there is nobody to hand it to as {to[:50]!r}")
            deed = desk.reassign(incident_id, by=by, to=target, link=link)
            done = f"It is handed over: paged now is {visit.named(target)}."
        case Action.NOTE:
            if note is None:
                raise InvalidInput("a note needs words")
            deed = desk.note(incident_id, by=by, text=note, link=link)
            done = "Your note is on the record."
        case Action.RESOLVE:
            deed = desk.resolve(incident_id, by=by, note=note, link=link)
            done = "It is over: whoever was told is told so."
        case _:
            assert_never(action)
    return await deed, done

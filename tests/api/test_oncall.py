"""Who is on call, as the API tells it: by a real roster, over a real calendar file."""

from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from activities.calendars import Calendars
from activities.roster import Roster
from api import documentation
from api.key_ring import Caller
from api.problems import handle_problems
from api.routes import oncall
from config.secrets import Secrets
from holdfast.domain.policy import Policy
from holdfast.domain.role import Role
from tests.api.stage import client_of

CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:1
DTSTART:20260303T090000Z
DTEND:20260303T180000Z
SUMMARY:Alan
END:VEVENT
END:VCALENDAR
"""
AT = "2026-03-03T12:00:00Z"


class Keys:
    """One key, with a role."""

    def __init__(self):
        self.role = Role.VIEWER

    def caller(self, secret):
        return Caller(name="some", roles=frozenset({self.role}))


@pytest.fixture
def policy(tmp_path):
    calendar = tmp_path / "on-call.ics"
    calendar.write_text(CALENDAR)
    return Policy.model_validate(
        {
            "channels": {
                "chat": {"kind": "slack", "token": "${TOKEN}"},
                "mail": {
                    "kind": "email",
                    "host": "mail.test",
                    "sender": "holdfast@mail.test",
                },
            },
            "people": {
                "ada": {
                    "name": "Ada Lovelace",
                    "contacts": [
                        {"channel": "mail", "to": "ada@private.example.com"},
                        {"channel": "chat", "to": "U0000ADA"},
                        {"channel": "mail", "to": "another@example.com"},
                    ],
                },
                "grace": {"contacts": [{"channel": "chat", "to": "U00GRACE"}]},
            },
            "schedules": {
                "primary": {
                    "description": "first responder",
                    "layers": [{"people": ["ada", "grace"], "starts_on": "2026-03-02"}],
                },
                "followed": {"calendar": f"file:{calendar}"},
                "broken": {"calendar": "file:/nowhere.ics"},
            },
        }
    )


@pytest.fixture
async def services(policy):
    async with httpx.AsyncClient() as http:
        calendars = Calendars(secrets=Secrets({}), http=http)
        roster = Roster(policy=lambda: policy, calendars=calendars)
        holder = SimpleNamespace(policy=policy)
        yield SimpleNamespace(keys=Keys(), roster=roster, holder=holder)
        await calendars.close()


@pytest.fixture
def app(services):
    app = FastAPI()
    app.state.services = services
    handle_problems(app)
    app.include_router(oncall.router, prefix="/api/system", responses=documentation.EVERYWHERE)
    documentation.document(app)
    return app


@pytest.fixture
async def client(app):
    async with client_of(app) as client:
        yield client


async def test_each_schedule_tells_who_is_on_call_now_and_next(client):
    """Names and channels, for everybody; addresses stay private."""
    answer = await client.get("/oncall", params={"at": AT})
    assert answer.status_code == 200
    primary = answer.json()["items"][0]
    assert primary == {
        "schedule": "primary",
        "description": "first responder",
        "now": {
            "person": "ada",
            "name": "Ada Lovelace",
            "channels": ["mail", "chat"],
            "since": "2026-03-02T09:00:00Z",
            "until": "2026-03-09T09:00:00Z",
            "source": "layer 1",
        },
        "next": {
            "person": "grace",
            "name": "grace",
            "channels": ["chat"],
            "since": "2026-03-09T09:00:00Z",
            "until": "2026-03-16T09:00:00Z",
            "source": "layer 1",
        },
        "problem": None,
    }
    assert "private.example.com" not in answer.text


async def test_a_gap_has_nobody_and_says_why(client):
    """An event of nobody known is worth a look."""
    _, followed, _ = (await client.get("/oncall", params={"at": AT})).json()["items"]
    assert (followed["now"]["person"], followed["now"]["name"]) == (None, None)
    assert followed["now"]["source"] == "calendar: 'Alan' is nobody in people"


async def test_a_calendar_that_cannot_be_read_is_that_schedules_problem(client):
    """The others are told all the same."""
    *_, broken = (await client.get("/oncall", params={"at": AT})).json()["items"]
    assert "/nowhere.ics can't be read" in broken["problem"]
    assert (broken["now"]["person"], broken["now"]["until"], broken["next"]) == (None, None, None)


async def test_one_schedule_can_be_asked_for(client):
    [primary] = (await client.get("/oncall", params={"schedule": "primary"})).json()["items"]
    until = datetime.fromisoformat(primary["now"]["until"])
    assert until > datetime.now(UTC)


async def test_a_schedule_that_is_not_there_is_not_found(client):
    answer = await client.get("/oncall", params={"schedule": "primry"})
    assert answer.status_code == 404
    assert "did you mean 'primary'" in answer.json()["detail"]


@pytest.mark.parametrize(
    "at", ["2026-03-03T12:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
async def test_a_time_without_offset_or_reason_is_refused(client, at):
    """Whose twelve o'clock it is would be a guess, and nobody is on call at the end of time."""
    answer = await client.get("/oncall", params={"at": at})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["at"]


async def test_it_needs_the_role_of_a_viewer(client, services):
    services.keys.role = Role.REPORTER
    assert (await client.get("/oncall")).status_code == 403


async def test_the_example_shows_every_field(app):
    """What the documents show is what is answered."""
    content = app.openapi()["paths"]["/api/system/oncall"]["get"]["responses"]["200"]["content"]
    [shown] = content["application/json"]["example"]["items"]
    assert oncall.OnCallView.model_validate(shown)
    assert set(shown) == set(oncall.OnCallView.model_fields)
    assert set(shown["now"]) == set(shown["next"]) == set(oncall.ShiftView.model_fields)

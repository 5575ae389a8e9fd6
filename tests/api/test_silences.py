"""Silences as people plan, see and end them, on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from fastapi import FastAPI

from api import documentation
from api.key_ring import Caller
from api.problems import handle_problems
from api.routes import silences as routes
from api.silence_desk import SilenceDesk
from holdfast.domain.custody import Escalating
from holdfast.domain.page import HoldKind, PageHold
from holdfast.domain.record import Record
from holdfast.domain.role import Role
from holdfast.errors import Unavailable
from storage.audit import Audit, AuditFilter
from storage.database import create_engine
from storage.incidents import Incidents
from storage.migrate import migrate
from storage.records import Records
from storage.silences import Silences
from tests.api.stage import client_of, eventually, stopped
from tests.storage.samples import NOW, an_entry, an_incident

HOUR = timedelta(hours=1)
WANTED = {
    "match": {"service": ["channels"]},
    "duration": "2h",
    "reason": "the disks are being replaced",
}


class Keys:
    """One key, with a role."""

    def __init__(self):
        self.role = Role.RESPONDER

    def caller(self, secret):
        return Caller(name="ada", roles=frozenset({self.role}))


class Rechecked:
    """Stands for the incidents' workflows; ``away`` is how often Temporal can't be reached."""

    def __init__(self):
        self.ids = []
        self.away = 0

    async def __call__(self, incident):
        if self.away:
            self.away -= 1
            raise Unavailable("Temporal cannot be reached")
        self.ids.append(incident.id)


@pytest.fixture
async def engine(database_url):
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def rechecked():
    return Rechecked()


@pytest.fixture
def keys():
    return Keys()


@pytest.fixture
def made(keys, rechecked):
    def made(engine, **fields):
        desk = SilenceDesk(
            silences=Silences(engine),
            incidents=Incidents(engine),
            recheck=rechecked,
            **{"heard_within": timedelta(0)} | fields,
        )
        app = FastAPI()
        handle_problems(app)
        app.include_router(routes.router, prefix="/api/system")
        app.state.services = SimpleNamespace(keys=keys, people=SimpleNamespace(silence_desk=desk))
        return app

    return made


@pytest.fixture
async def client(made, engine):
    async with client_of(made(engine)) as client:
        yield client


async def create(client, **fields):
    answer = await client.post("/silences", json=WANTED | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def listed(client, **query):
    answer = await client.get("/silences", params=query)
    return [each["id"] for each in answer.json()["items"]]


def problem(answer):
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    return error["field"], answer.json()["detail"]


def at(hours):
    return (datetime.now(UTC) + hours * HOUR).isoformat()


async def test_a_silence_begins_now_unless_it_says_when(client):
    made = await create(client)
    assert (made["state"], made["created_by"]) == ("active", "ada")
    starts, ends = (datetime.fromisoformat(made[name]) for name in ("starts_at", "ends_at"))
    assert ends - starts == 2 * HOUR
    assert made["occurrence"] == {"starts_at": made["starts_at"], "ends_at": made["ends_at"]}
    assert (await client.get(f"/silences/{made['id']}")).json() == made


async def test_they_are_listed_by_their_state_newest_first(client):
    active = await create(client)
    planned = await create(client, starts_at=at(1))
    ended = await create(client)
    await client.post(f"/silences/{ended['id']}/end")
    nightly = await create(client, starts_at=at(-1), recurrence="FREQ=DAILY")
    ids = {name: each["id"] for name, each in {"a": active, "p": planned, "n": nightly}.items()}
    assert await listed(client) == [ids["n"], ended["id"], ids["p"], ids["a"]]
    assert await listed(client, state="active") == [ids["n"], ids["a"]]
    assert await listed(client, state="planned") == [ids["p"]]
    assert await listed(client, state="past") == [ended["id"]]
    page = (await client.get("/silences", params={"state": "active", "limit": 1})).json()
    assert page["items"][0]["id"] == ids["n"]
    assert await listed(client, state="active", limit=1, cursor=page["cursor"]) == [ids["a"]]


async def test_a_recurring_one_shows_its_next_time(client):
    starts = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2, hours=3)
    made = await create(client, starts_at=starts.isoformat(), recurrence="RRULE:FREQ=DAILY")
    assert (made["state"], made["over_at"]) == ("planned", None)
    coming = datetime.fromisoformat(made["occurrence"]["starts_at"])
    assert coming == starts + timedelta(days=3)


async def test_a_rule_that_ends_says_when_it_is_over(client):
    starts = datetime.now(UTC).replace(microsecond=0)
    made = await create(client, starts_at=starts.isoformat(), recurrence="FREQ=DAILY;COUNT=3")
    assert datetime.fromisoformat(made["over_at"]) == starts + timedelta(days=2, hours=2)


async def test_ending_one_is_on_the_record_and_cannot_be_done_twice(client, engine):
    made = await create(client)
    answer = await client.post(f"/silences/{made['id']}/end")
    ended = answer.json()
    assert (answer.status_code, ended["state"], ended["ended_by"]) == (200, "past", "ada")
    assert ended["occurrence"] is None
    again = await client.post(f"/silences/{made['id']}/end")
    assert again.status_code == 409
    assert again.json()["detail"].startswith("ada ended it at ")
    facts = (await Audit(engine).entries(AuditFilter())).items
    assert [(fact.event, fact.actor) for fact in facts] == [
        ("silence.created", "ada"),
        ("silence.ended", "ada"),
    ]


async def test_an_unknown_silence_is_not_found(client):
    assert (await client.get("/silences/nobody")).status_code == 404
    assert (await client.post("/silences/nobody/end")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field", "detail"),
    [
        ({"duration": None}, "", "expected one of ends_at and duration"),
        ({"ends_at": at(1)}, "", "expected one of ends_at and duration"),
        ({"duration": "0s"}, "duration", "it ends after it starts"),
        ({"duration": "367d"}, "duration", "366 days later at the most"),
        ({"duration": None, "ends_at": at(-1)}, "ends_at", "it ends after it starts"),
        ({"starts_at": at(-5)}, "ends_at", "nothing is left to silence"),
        ({"starts_at": at(24 * 400)}, "starts_at", "a silence starts within 366 days"),
        ({"recurrence": "FREQ=SECONDLY"}, "recurrence", "FREQ=SECONDLY cannot be followed"),
        ({"recurrence": "every sunday"}, "recurrence", "is no part of a rule"),
        ({"time_zone": "Berlin"}, "time_zone", "no time zone 'Berlin'"),
        ({"reason": ""}, "reason", "at least 1 character"),
        ({"match": {"services": ["x"]}}, "match.services", "Extra inputs are not permitted"),
        ({"match": {"service": [""]}}, "match.service.0", "at least 1 character"),
        ({"match": None}, "match", "valid dictionary"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_field_and_the_reason(
    client, fields, field, detail
):
    wanted = {name: value for name, value in (WANTED | fields).items() if value is not None}
    if fields.get("match", {}) is None:
        wanted["match"] = None
    found, said = problem(await client.post("/silences", json=wanted))
    assert found == field
    assert detail in said
    assert await listed(client) == []


async def test_a_start_that_its_rule_does_not_have_is_refused_with_the_first_that_it_has(client):
    friday = datetime(2026, 3, 6, 1, tzinfo=UTC)
    while friday < datetime.now(UTC):
        friday += timedelta(weeks=1)
    rule = {"recurrence": "FREQ=WEEKLY;BYDAY=SU", "time_zone": "UTC"}
    answer = await client.post("/silences", json=WANTED | rule | {"starts_at": friday.isoformat()})
    field, detail = problem(answer)
    assert field == "starts_at"
    sunday = friday + timedelta(days=2)
    assert f"is no time of FREQ=WEEKLY;BYDAY=SU; the first from then on is Sunday, {sunday:%F}" in (
        detail
    )


async def test_silencing_everything_takes_an_operator(client, keys):
    answer = await client.post("/silences", json=WANTED | {"match": {}})
    assert answer.status_code == 403
    assert "name a service, a category or a label" in answer.json()["detail"]
    keys.role = Role.OPERATOR
    assert (await create(client, match={}))["match"] == {
        "service": [],
        "category": [],
        "labels": {},
    }


async def test_a_viewer_looks_and_does_not_touch(client, keys):
    made = await create(client)
    keys.role = Role.VIEWER
    assert await listed(client) == [made["id"]]
    assert (await client.get(f"/silences/{made['id']}")).status_code == 200
    assert (await client.post("/silences", json=WANTED)).status_code == 403
    assert (await client.post(f"/silences/{made['id']}/end")).status_code == 403


@pytest.fixture
def hold(engine):
    async def hold(incident_id, by, **fields):
        held = PageHold(kind=HoldKind.SILENCE, until=NOW, reason="the disks", by=by)
        escalation = Escalating(reason="", hold=held)
        incident = an_incident(incident_id, escalation=escalation, **fields)
        entry = an_entry(workflow_id=incident.workflow_id)
        await Records(engine).write(Record(entries=(entry,), incident=incident))

    return hold


def rechecked_twice(rechecked, *ids):
    async def done():
        return len(rechecked.ids) == 2 * len(ids)

    return eventually(done)


async def test_what_an_ended_silence_held_is_looked_up_again_twice(client, hold, rechecked):
    """At once, and when the last worker has heard of it; what others hold is left alone."""
    made = await create(client)
    await hold("mine", made["id"])
    await hold("apart", "another")
    await client.post(f"/silences/{made['id']}/end")
    await rechecked_twice(rechecked, "mine")
    assert rechecked.ids == ["mine", "mine"]


async def test_what_waits_for_the_end_of_one_that_was_to_follow_is_looked_up_too(
    client, hold, rechecked
):
    """It is held by the silence of now, until the end of the one that would have taken over."""
    present = await create(client)
    following = await create(client, starts_at=at(1))
    await hold("held", present["id"])
    await hold("other", present["id"], service="billing")
    await client.post(f"/silences/{following['id']}/end")
    await rechecked_twice(rechecked, "held")
    assert set(rechecked.ids) == {"held"}


async def test_a_temporal_that_is_away_is_asked_again(client, hold, rechecked):
    made = await create(client)
    await hold("mine", made["id"])
    rechecked.away = 1
    assert (await client.post(f"/silences/{made['id']}/end")).status_code == 200

    async def done():
        return rechecked.ids == ["mine"]

    await eventually(done)


async def test_a_desk_that_stops_does_not_wait_to_look_again(made, engine, hold, rechecked):
    app = made(engine, heard_within=timedelta(hours=1))
    async with client_of(app) as client:
        silence = await create(client)
        await hold("mine", silence["id"])
        await client.post(f"/silences/{silence['id']}/end")

        async def once():
            return rechecked.ids == ["mine"]

        await eventually(once)
    async with asyncio.timeout(5):
        await app.state.services.people.silence_desk.stop()


async def test_with_postgresql_away_nothing_is_planned(made, server):
    await migrate(server.get_uri())
    engine = create_engine(server.get_uri())
    async with client_of(made(engine)) as client:
        silence = await create(client)
        with stopped(server):
            for answer in (
                await client.post("/silences", json=WANTED),
                await client.get("/silences"),
                await client.post(f"/silences/{silence['id']}/end"),
            ):
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) > 0
    await engine.dispose()


async def test_the_document_explains_itself():
    app = FastAPI()
    app.include_router(routes.router, prefix="/api/system", responses=documentation.EVERYWHERE)
    documentation.document(app)
    paths = app.openapi()["paths"]
    assert set(paths) == {
        "/api/system/silences",
        "/api/system/silences/{silence_id}",
        "/api/system/silences/{silence_id}/end",
    }
    created = paths["/api/system/silences"]["post"]
    assert "Needs the role **responder**." in created["description"]

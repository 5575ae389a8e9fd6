"""Incidents as people see them and act on them, on real workflows and a real record."""

from datetime import UTC, datetime

import pytest

from api.app import create_app
from api.services import Services
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.record import Record
from holdfast.domain.role import Role
from holdfast.domain.severity import Severity
from holdfast.errors import Unavailable
from storage.records import Records
from tests.api.conftest import opened
from tests.api.stage import client_of, eventually, hanging, issue, staged, stopped
from tests.storage.samples import an_entry, an_incident

UNKNOWN = "01960c2e-0000-7000-8000-000000000000"


class Nowhere:
    """In the place of the record, while PostgreSQL is away from workers alone."""

    async def write_record(self, record):
        raise Unavailable("PostgreSQL is away")


def an_error(service, **fields):
    return {"service": service, "error_type": "Broken", "message": "it broke", **fields}


async def report(client, service, **fields):
    """Report an error; gives the id of its incident."""
    answer = await client.post("/errors", json=an_error(service, **fields))
    assert answer.status_code == 202, answer.text
    [result] = answer.json()["results"]
    if "incident_id" in result:
        return result["incident_id"]

    async def opened():
        items = (await client.get("/errors/active", params={"service": service})).json()["items"]
        return next(
            (each["id"] for each in items if each["fingerprint"] == result["fingerprint"]), None
        )

    return await eventually(opened)


async def record(services: Services, *incidents):
    """Put incidents on the record, as workflows that are long over did."""
    for number, incident in enumerate(incidents):
        entry = an_entry(workflow_id=incident.id, run_id="r", sequence=number + 1)
        await Records(services.engine).write(Record(entries=(entry,), incident=incident))


async def recorded(client, incident_id, **expected):
    """Wait until the list of active incidents shows what is expected."""

    async def look():
        items = (await client.get("/errors/active")).json()["items"]
        found = [each for each in items if each["id"] == incident_id]
        return found and expected.items() <= found[0].items()

    await eventually(look)


async def test_an_active_incident_is_told_by_its_workflow(stage, client, service):
    """What the workflow knows is ahead of the record."""
    incident_id = await report(client, service, context={"channel": "news"})
    answer = await client.get(f"/errors/{incident_id}")
    assert answer.status_code == 200
    told = answer.json()
    assert (told["id"], told["source"]) == (incident_id, "workflow")
    assert told["sample"]["context"] == {"channel": "news"}


async def test_an_incident_without_a_record_is_found_in_temporal(stage, client, services, service):
    """Between the report's answer and the first record, Temporal knows where the incident is."""
    stage.stored = Nowhere()
    answer = await client.post("/errors", json=an_error(service))
    incident_id = answer.json()["results"][0]["incident_id"]

    async def found():
        return (await client.get(f"/errors/{incident_id}")).status_code == 200

    await eventually(found)
    assert await services.incidents.get(incident_id) is None


async def test_a_resolved_incident_is_told_from_the_record(stage, client, service):
    """Nothing is asked of a workflow that is over."""
    incident_id = await report(client, service)
    resolved = await client.post(f"/errors/{incident_id}/resolve", json={"note": "unplugged it"})
    assert resolved.status_code == 200

    async def from_record():
        told = (await client.get(f"/errors/{incident_id}")).json()
        return told if told["source"] == "record" and told["status"] == "resolved" else None

    told = await eventually(from_record)
    assert (told["resolved_by"], told["note"]) == ("admin", "unplugged it")


async def test_an_unknown_incident_is_not_found(stage, client):
    for method, path in [("GET", ""), ("POST", "/acknowledge"), ("POST", "/resolve")]:
        answer = await client.request(method, f"/errors/{UNKNOWN}{path}")
        assert answer.status_code == 404, path
        assert UNKNOWN in answer.json()["detail"]


async def test_an_id_cannot_bring_a_query_of_its_own(stage, client):
    """The id becomes part of a query of Temporal's list: only an id's form is let in."""
    answer = await client.get("/errors/x' OR HoldfastService = 'channels")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "incident_id"


async def test_the_first_who_acknowledges_has_it(stage, client, app, services, service):
    """Whoever comes later is told who has it, with 409."""
    incident_id = await report(client, service)
    async with client_of(app, await issue(services, Role.RESPONDER, "ada")) as ada:
        first = await ada.post(f"/errors/{incident_id}/acknowledge")
    second = await client.post(f"/escalations/{incident_id}/acknowledge")
    assert first.status_code == 200
    assert (first.json()["status"], first.json()["acknowledged_by"]) == ("acknowledged", "ada")
    assert second.status_code == 409
    assert second.json()["detail"].startswith("ada has had it since ")
    assert second.json()["type"] == "urn:holdfast:problem:conflict"


async def test_what_is_over_can_not_be_taken_or_ended_again(stage, client, service):
    incident_id = await report(client, service)
    await client.post(f"/errors/{incident_id}/resolve")
    for action in ("acknowledge", "resolve"):
        answer = await client.post(f"/errors/{incident_id}/{action}")
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:holdfast:problem:incident-already-resolved"


async def test_an_action_never_reaches_the_next_incident_of_the_same_error(stage, client, service):
    """The workflow's id names the error: who means the old incident must not take the new one."""
    old = await report(client, service)
    await client.post(f"/errors/{old}/resolve")

    async def reopened():
        new = await report(client, service)
        return new if new != old else None

    new = await eventually(reopened)
    assert (await client.post(f"/errors/{old}/acknowledge")).status_code == 409
    told = (await client.get(f"/errors/{new}")).json()
    assert told["acknowledged_at"] is None


async def test_only_an_operator_acts_for_somebody_else(stage, client, app, services, service):
    incident_id = await report(client, service)
    async with client_of(app, await issue(services, Role.RESPONDER, "ada")) as ada:
        refused = await ada.post(f"/errors/{incident_id}/acknowledge", json={"by": "grace"})
        own = await ada.post(f"/errors/{incident_id}/acknowledge", json={"by": "ada"})
    assert refused.status_code == 403
    assert "operator" in refused.json()["detail"]
    assert own.status_code == 200
    named = await client.post(f"/errors/{incident_id}/resolve", json={"by": "grace"})
    assert named.json()["resolved_by"] == "grace"


@pytest.mark.parametrize("how", [stopped, hanging])
async def test_acknowledging_works_while_postgresql_is_away(settings_apart, server, service, how):
    """Keys are known, Temporal finds the workflow, and the workflow waits for no record."""
    async with opened(settings_apart) as services, staged(services):
        app = create_app(services)
        async with client_of(app) as client:
            incident_id = await report(client, service)
            await recorded(client, incident_id)
            key = await issue(services, Role.RESPONDER, "ada")
            with how(server):
                async with client_of(app, key) as ada:
                    taken = await ada.post(f"/errors/{incident_id}/acknowledge")
                    told = await ada.get(f"/errors/{incident_id}")
                    ended = await ada.post(f"/errors/{incident_id}/resolve")
                assert (taken.status_code, taken.json()["acknowledged_by"]) == (200, "ada")
                assert told.json()["source"] == "workflow"
                assert told.json()["status"] == "acknowledged"
                assert ended.status_code == 200

            async def caught_up():
                told = (await client.get(f"/errors/{incident_id}")).json()
                return told.get("source") == "record" and told["status"] == "resolved"

            await eventually(caught_up, within=30)


async def test_without_a_worker_the_record_answers_and_actions_can_be_tried_again(
    services, client, service
):
    async with staged(services):
        incident_id = await report(client, service)
        await recorded(client, incident_id, status="escalated")
    told = await client.get(f"/errors/{incident_id}")
    assert (told.status_code, told.json()["source"]) == (200, "record")
    refused = await client.post(f"/errors/{incident_id}/acknowledge")
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert "no worker may be running" in refused.json()["detail"]


async def test_the_list_pages_and_filters(client, services):
    """Every incident is on exactly one page, the newest first, whatever is picked."""
    incidents = [
        an_incident(
            f"i{number:02}",
            service="plain" if number % 2 else "channels",
            severity=Severity.HIGH if number % 3 else Severity.LOW,
            status=IncidentStatus.ESCALATED if number % 4 else IncidentStatus.TRIGGERED,
            opened_at=datetime(2026, 3, 1, 12, number, tzinfo=UTC),
        )
        for number in range(24)
    ]
    await record(services, *incidents)

    async def ids(**query):
        found, cursor = [], None
        while True:
            page = (
                await client.get(
                    "/errors/active", params={**query, "cursor": cursor} if cursor else query
                )
            ).json()
            assert len(page["items"]) <= query["limit"]
            found += [each["id"] for each in page["items"]]
            cursor = page["cursor"]
            if cursor is None:
                return found

    def wanted(test):
        return [each.id for each in reversed(incidents) if test(each)]

    assert await ids(limit=7) == wanted(lambda _: True)
    assert await ids(limit=5, service="plain") == wanted(lambda each: each.service == "plain")
    assert await ids(limit=3, severity="low") == wanted(lambda each: each.severity == "low")
    for limit in (1, 5, 6, 7):
        found = await ids(limit=limit, status="triggered")
        assert found == wanted(lambda each: each.status == "triggered")


async def test_a_foreign_cursor_is_refused(client):
    answer = await client.get("/errors/active", params={"cursor": "nonsense"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"severity": "awful"}])
async def test_a_wrong_query_names_its_field(client, query):
    answer = await client.get("/errors/active", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(query))


async def test_an_escalation_tells_who_was_told_and_what_comes_next(stage, client, service):
    """The first level is told at once here; the second's turn has a time."""
    incident_id = await report(client, service)

    async def told():
        items = (await client.get("/escalations/active")).json()["items"]
        return next(
            (each for each in items if each["told"] and each["told"][0]["status"] == "sent"), None
        )

    escalation = await eventually(told)
    [page] = escalation["told"]
    assert escalation["incident_id"] == incident_id
    assert (escalation["policy"], escalation["level"], escalation["round"]) == ("default", 1, 1)
    assert (page["kind"], page["channel"]) == ("page", "pager")
    assert page["to"] == "ada@example.com"
    assert page["finished_at"] >= page["queued_at"]
    assert escalation["next"]["what"] == "level 2 is paged unless somebody acknowledges"
    assert datetime.fromisoformat(escalation["next"]["at"]) > datetime.now(UTC)
    await client.post(f"/escalations/{incident_id}/acknowledge")
    await recorded(client, incident_id, status="acknowledged")
    [escalation] = (await client.get("/escalations/active")).json()["items"]
    assert escalation["acknowledged_by"] == "admin"
    assert escalation["next"]["what"] == "admin is reminded"

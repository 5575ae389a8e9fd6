"""Actions that people ask for, and how recovery goes."""

import asyncio

from holdfast.domain.audit import AuditEvent
from holdfast.domain.incident_status import IncidentStatus, Resolution
from holdfast.domain.record import Record
from holdfast.domain.recovery import RecoveryStatus
from holdfast.domain.role import Role
from storage.records import Records
from tests.api.stage import client_of, eventually, issue
from tests.storage.samples import NOW, an_entry, an_incident

NEWS = {"context": {"channel": "news"}}


async def test_a_restart_goes_through_the_services_recovery(stage, app, services, service):
    """With what the policy file says, the caller as the actor, and no limit to hold a person."""
    async with client_of(app, await issue(services, Role.OPERATOR, "ada")) as ada:
        answer = await ada.post(f"/recovery/restart/{service}", json=NEWS | {"wait": "10s"})
    assert answer.status_code == 202
    ticket = answer.json()
    assert (ticket["service"], ticket["action"]) == (service, "restart")
    assert (ticket["status"], ticket["ahead"]) == ("queued", 0)
    assert (ticket["outcome"]["status"], ticket["outcome"]["reason"]) == (
        "succeeded",
        "it succeeded",
    )
    [run] = stage.runs
    assert run.request.action.url == "http://127.0.0.1:1/news/restart"
    assert run.request.health.url == "http://127.0.0.1:1/news/health"
    assert (run.request.manual, run.request.actor) == (True, "ada")


async def test_who_asked_is_on_the_record(stage, client, service):
    await client.post(f"/recovery/restore/{service}", json=NEWS)

    async def asked():
        query = {"event": "recovery.requested", "service": service}
        return (await client.get("/audit", params=query)).json()["items"]

    [entry] = await eventually(asked)
    assert entry["actor"] == "admin"
    assert entry["summary"] == "admin asks for restore: queued"


async def test_without_wait_the_ticket_comes_at_once(stage, client, service):
    release = asyncio.Event()

    async def hold(_):
        await release.wait()
        return RecoveryStatus.SUCCEEDED

    stage.carry_out = hold
    answer = await client.post(f"/recovery/restart/{service}", json=NEWS)
    assert (answer.status_code, answer.json()["outcome"]) == (202, None)
    late = await client.post(f"/recovery/restore/{service}", json=NEWS | {"wait": "300ms"})
    assert (late.json()["ahead"], late.json()["outcome"]) == (1, None)
    release.set()


async def test_asking_twice_with_one_key_is_asking_once(stage, client, service):
    headers = {"Idempotency-Key": "before-the-show"}
    path = f"/recovery/restart/{service}"
    first = await client.post(path, json=NEWS | {"wait": "10s"}, headers=headers)
    second = await client.post(path, json=NEWS | {"wait": "10s"}, headers=headers)
    assert first.json()["request_id"] == second.json()["request_id"]
    assert first.json()["outcome"] == second.json()["outcome"]
    assert len(stage.runs) == 1
    # Another action is another matter, also under the same key.
    await client.post(f"/recovery/restore/{service}", json=NEWS | {"wait": "10s"}, headers=headers)
    assert [run.request.action_name for run in stage.runs] == ["restart", "restore"]


async def test_an_unknown_service_is_not_found(client, service):
    answer = await client.post(f"/recovery/restart/{service}x")
    assert answer.status_code == 404
    assert f"did you mean '{service}'?" in answer.json()["detail"]


async def test_a_service_without_the_action_says_which_it_has(client, policy_file, service):
    answer = await client.post("/recovery/restart/plain")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "plain has no action 'restart'; its actions: none"


async def test_what_the_action_needs_and_was_not_given_is_named(client, service):
    answer = await client.post(f"/recovery/restart/{service}", json={"context": {"stream": 1}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "context.channel"


async def test_a_wrong_body_is_refused(client, service):
    for body, field in [
        ({"contexts": {}}, "contexts"),
        ({"wait": "2m"}, "wait"),
        ({"wait": 5}, "wait"),
    ]:
        answer = await client.post(f"/recovery/restart/{service}", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_without_a_worker_the_caller_is_told_when_to_ask_again(client, service):
    answer = await client.post(f"/recovery/restart/{service}", json=NEWS)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


async def test_statistics_tell_rates_and_times_as_people_write_them(client, services):
    incident = an_incident(
        "i1",
        status=IncidentStatus.RESOLVED,
        resolution=Resolution.RECOVERED,
        resolved_at=NOW.replace(minute=1, second=30),
    )
    events = [AuditEvent.STEP_FAILED, AuditEvent.STEP_SUCCEEDED]
    entries = tuple(
        an_entry(number, event=event, category="network", detail={"step": "retry"})
        for number, event in enumerate(events, start=1)
    )
    await Records(services.engine).write(Record(entries=entries, incident=incident))
    answer = await client.get("/recovery/stats", params={"window": "366d"})
    assert answer.status_code == 200
    told = answer.json()
    counts = {"attempts": 2, "succeeded": 1, "failed": 1, "skipped": 0, "success_rate": 0.5}
    assert told["by_category"] == {"network": counts}
    assert told["by_step"] == {"retry": counts}
    assert told["to_recover"] == {"count": 1, "mean": "1m30s", "p50": "1m30s", "p95": "1m30s"}
    assert told["to_acknowledge"] == {"count": 0, "mean": None, "p50": None, "p95": None}


async def test_a_window_needs_a_unit(client):
    for window in ("24", "0s", "400d", "yesterday"):
        answer = await client.get("/recovery/stats", params={"window": window})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "window"), window
    assert (await client.get("/recovery/stats")).status_code == 200

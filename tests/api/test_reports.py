"""Reports are taken one by one, each answered for itself; bad ones are named, good ones kept."""

import asyncio
import json

import pytest

from api.app import create_app
from holdfast.domain.report import MAX_CONTEXT_DEPTH, MAX_REPORT_BYTES
from storage.intake import Intake
from tests.api.conftest import opened
from tests.api.stage import client_of, eventually, staged, stopped
from tests.api.test_problems import problem_of

JSON = {"Content-Type": "application/json"}


def report_of(service, **fields):
    """A report that can be taken."""
    return {"service": service, "error_type": "Broken", "message": "it broke"} | fields


def nested(depth):
    """A context so deep."""
    return {"a": nested(depth - 1)} if depth else {"a": 1}


async def incidents_of(client, service):
    answer = await client.get("/errors/active", params={"service": service})
    return answer.json()["items"]


async def test_a_report_is_answered_with_its_incident(client, stage, service):
    """Fingerprint, id, status and whether it was a repeat: all known within a moment."""
    first = (await client.post("/errors", json=report_of(service))).json()["results"][0]
    again = (await client.post("/errors", json=report_of(service))).json()["results"][0]
    assert (first["accepted"], first["repeat"], again["repeat"]) == (True, False, True)
    assert first["incident_id"] == again["incident_id"]
    assert first["fingerprint"] == again["fingerprint"]


async def test_an_unknown_service_is_taken_and_said_so(client, stage, service):
    answer = await client.post("/errors", json=report_of(f"not-{service}"))
    result = answer.json()["results"][0]
    assert result["accepted"]
    assert f"no service 'not-{service}'" in result["warnings"][0]


async def test_a_wrong_report_does_not_keep_the_rest_of_a_batch_out(client, stage, service):
    """Each entry has its own answer, in the order of the batch."""
    batch = [report_of(service), report_of(service, severity="awful"), report_of(service)]
    answer = await client.post("/errors", json=batch)
    results = answer.json()["results"]
    assert answer.status_code == 202
    assert [each["accepted"] for each in results] == [True, False, True]
    assert results[1]["problem"]["errors"][0]["field"] == "severity"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"message": 3}, "message"),
        ({"colour": "red"}, "colour"),
        ({"service": "no spaces"}, "service"),
        ({"message": "a\u0000b"}, "message"),
        ({"context": {"a": {"b": ["x", "\u001b[31m"]}}}, "context.a.b.1"),
        ({"occurred_at": "2026-03-01T08:00:00"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at"),
        ({"context": nested(MAX_CONTEXT_DEPTH + 1)}, "context"),
        ({"context": {"big": "x" * MAX_REPORT_BYTES}}, "context"),
        ({"count": 0}, "count"),
        ({"count": 1_000_001}, "count"),
        ({"count": 2, "first_occurred_at": "yesterday"}, "first_occurred_at"),
        ({"first_occurred_at": "0001-01-01T00:00:00+14:00"}, "first_occurred_at"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
async def test_bad_input_names_its_field(client, service, fields, field):
    """Wrong types, unknown fields, control characters, times that are none, too deep, too long."""
    answer = await client.post("/errors", json=report_of(service) | fields)
    problem = problem_of(answer)
    assert answer.status_code in {413, 422}
    assert problem.errors[0].field.startswith(field)


@pytest.mark.parametrize("character", ["x", "\u00e4", "\U0001f600"])
async def test_a_report_may_be_as_long_as_it_is_told_to_be(client, service, character):
    """In bytes, as its sender wrote it: a client that measures it first loses nothing."""

    def written(length):
        report = report_of(service, context={"big": character * length})
        return json.dumps(report, ensure_ascii=False, separators=(",", ":")).encode()

    longest = (MAX_REPORT_BYTES - len(written(0))) // len(character.encode())
    answer = await client.post("/errors", content=written(longest), headers=JSON)
    assert answer.status_code == 202
    answer = await client.post("/errors", content=written(longest + 1), headers=JSON)
    assert problem_of(answer).status == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[1, 2", b'{"a": NaN}', b"[" * 5000, b"\xff\xfe"])
async def test_what_is_no_json_is_refused(client, body):
    answer = await client.post("/errors", content=body, headers=JSON)
    assert answer.status_code == 422
    assert "not JSON" in problem_of(answer).detail


@pytest.mark.parametrize("body", ["[]", "3", '"text"', "null"])
async def test_what_is_no_report_is_refused(client, body):
    answer = await client.post("/errors", content=body, headers=JSON)
    assert problem_of(answer).status == 422


async def test_ten_megabytes_are_refused(client, service):
    body = json.dumps(report_of(service, message="x" * 10_000_000))
    answer = await client.post("/errors", content=body, headers=JSON)
    assert problem_of(answer).status == 413


async def test_a_storm_becomes_few_batches_and_an_exact_count(client, stage, service, services):
    """Two thousand reports of one error at once: one incident, every report counted once."""
    batches = [[report_of(service)] * 100 for _ in range(20)]
    answers = await asyncio.gather(*[client.post("/errors", json=each) for each in batches])
    assert {answer.status_code for answer in answers} == {202}

    async def counted():
        items = await incidents_of(client, service)
        return [each["report_count"] for each in items] == [2000]

    assert await eventually(counted)
    assert (await services.intake.waiting()).rows == 0


async def test_without_a_worker_reports_wait_and_are_counted_once(settings, service):
    """The 202 was given; the rows stay, and another process sends them."""
    async with opened(settings) as first, client_of_services(first) as client:
        answer = await client.post("/errors", json=[report_of(service)] * 5)
        assert answer.status_code == 202
        assert "incident_id" not in answer.json()["results"][0]
        assert (await Intake(first.engine).waiting()).reports == 5

    async with opened(settings) as second, staged(second), client_of_services(second) as client:

        async def counted():
            items = await incidents_of(client, service)
            return [each["report_count"] for each in items] == [5]

        assert await eventually(counted, within=30)


async def test_what_was_sent_straight_to_temporal_is_not_sent_again(
    settings_apart, server, service
):
    """PostgreSQL away: told directly, and the count stays exact once it is back."""

    async with (
        opened(settings_apart) as services,
        staged(services),
        client_of_services(services) as client,
    ):
        await client.post("/errors", json=report_of(service))
        with stopped(server):
            for _ in range(3):
                answer = await client.post("/errors", json=[report_of(service)] * 2)
                assert answer.json()["results"][0]["accepted"]
        await eventually(lambda: _is_up(client))
        await client.post("/errors", json=report_of(service))

        async def counted():
            items = await incidents_of(client, service)
            return [each["report_count"] for each in items] == [8]

        assert await eventually(counted, within=30)


async def _is_up(client):
    return (await client.get("/health")).json()["postgres"]["status"] == "up"


def client_of_services(services):
    """A client of a process of the test's own."""
    return client_of(create_app(services))

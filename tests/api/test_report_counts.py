"""Counts are exact: of what a client folded, and of what it sends twice for want of an answer."""

import asyncio

import pytest

from holdfast.domain.role import Role
from tests.api.conftest import opened
from tests.api.stage import client_of, eventually, issue, staged, stopped
from tests.api.test_problems import problem_of
from tests.api.test_reports import client_of_services, incidents_of, report_of

KEY = {"Idempotency-Key": "4b0d7c52"}


async def counts_of(client, service):
    return [each["report_count"] for each in await incidents_of(client, service)]


async def test_a_folded_report_counts_for_all_it_stands_for(client, stage, service):
    """Its times are those of the first and of the last of them."""
    folded = report_of(
        service,
        count=41,
        first_occurred_at="2026-03-01T08:00:00Z",
        occurred_at="2026-03-01T08:05:00Z",
    )
    assert (await client.post("/errors", json=[folded, report_of(service)])).status_code == 202

    async def counted():
        return await counts_of(client, service) == [42]

    assert await eventually(counted)
    [listed] = await incidents_of(client, service)
    incident = (await client.get(f"/errors/{listed['id']}")).json()
    assert incident["first_report_at"].startswith("2026-03-01T08:00:00")
    assert "count" not in incident["sample"]


async def test_a_request_sent_again_counts_once(client, stage, service):
    """It is answered as the first was, also once its rows are settled."""
    answers = [
        await client.post("/errors", json=report_of(service, count=5), headers=KEY)
        for _ in range(3)
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["results"][0]["incident_id"] for answer in answers}) == 1
    await client.post("/errors", json=report_of(service))

    async def counted():
        return await counts_of(client, service) == [6]

    assert await eventually(counted)


async def test_a_request_sent_many_times_at_once_counts_once(client, stage, service):
    """Together with others that came in the same commit, which all count."""
    requests = [client.post("/errors", json=report_of(service), headers=KEY) for _ in range(10)]
    others = [client.post("/errors", json=report_of(service)) for _ in range(10)]
    answers = await asyncio.gather(*requests, *others)
    assert {answer.status_code for answer in answers} == {202}

    async def counted():
        return await counts_of(client, service) == [11]

    assert await eventually(counted)


async def test_a_request_sent_again_to_another_process_counts_once(settings, service):
    async with (
        opened(settings) as first,
        opened(settings) as second,
        staged(first),
        client_of_services(first) as client,
        client_of_services(second) as other,
    ):
        await client.post("/errors", json=report_of(service), headers=KEY)
        await other.post("/errors", json=report_of(service), headers=KEY)
        await other.post("/errors", json=report_of(service))

        async def counted():
            return await counts_of(client, service) == [2]

        assert await eventually(counted)


async def test_the_key_is_the_callers_own(client, app, services, stage, service):
    """Two reporters that number their requests don't meet."""
    async with client_of(app, await issue(services, Role.REPORTER)) as reporter:
        await client.post("/errors", json=report_of(service), headers=KEY)
        await reporter.post("/errors", json=report_of(service), headers=KEY)

    async def counted():
        return await counts_of(client, service) == [2]

    assert await eventually(counted)


@pytest.mark.parametrize("key", ["x" * 201, "caf\u00e9"])
async def test_a_key_that_is_none_is_refused(client, service, key):
    headers = {"Idempotency-Key": key.encode()}
    answer = await client.post("/errors", json=report_of(service), headers=headers)
    assert problem_of(answer).status == 422


async def test_a_request_sent_again_around_an_outage_of_postgres_counts_once(
    settings_apart, server, service
):
    """Temporal took it, its answer was lost, and PostgreSQL is back when it comes again."""
    async with (
        opened(settings_apart) as services,
        staged(services),
        client_of_services(services) as client,
    ):
        await client.post("/errors", json=report_of(service))
        with stopped(server):
            for _ in range(3):
                answer = await client.post("/errors", json=report_of(service), headers=KEY)
                assert answer.json()["results"][0]["accepted"]

        async def is_known():
            await client.post("/errors", json=report_of(service), headers=KEY)
            return (await client.get("/health")).json()["postgres"]["status"] == "up"

        assert await eventually(is_known, within=30)
        await client.post("/errors", json=report_of(service))

        async def counted():
            return await counts_of(client, service) == [3]

        assert await eventually(counted, within=30)

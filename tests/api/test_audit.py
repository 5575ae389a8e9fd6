"""The audit log: filtered, page by page, for programs and for spreadsheets."""

import csv
import io
import json
from datetime import timedelta

import pytest

from holdfast.domain.audit import AuditEvent
from holdfast.domain.record import Record
from holdfast.domain.severity import Severity
from storage.records import Records
from tests.storage.samples import NOW, an_entry

COUNT = 23


@pytest.fixture
async def entries(services):
    """Facts of a minute each, two services, three people."""
    entries = [
        an_entry(
            number + 1,
            at=NOW + timedelta(minutes=number),
            service="plain" if number % 2 else "channels",
            actor=("ada", "grace", "holdfast")[number % 3],
            event=AuditEvent.STEP_FAILED if number % 4 else AuditEvent.INCIDENT_OPENED,
            incident_id=f"i{number % 5}",
            severity=Severity.HIGH if number % 6 else None,
            summary=f"fact {number}",
            detail={"number": number},
        )
        for number in range(COUNT)
    ]
    await Records(services.engine).write(Record(entries=tuple(entries)))
    return entries


def summaries(items):
    return [each["summary"] for each in items]


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [1, 10, 23, 24])
async def test_every_fact_is_on_exactly_one_page(client, entries, order, limit):
    found, cursor = [], None
    while True:
        query = {"order": order, "limit": limit} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/audit", params=query)).json()
        assert len(page["items"]) <= limit
        found += page["items"]
        cursor = page["cursor"]
        if cursor is None:
            break
    expected = [each.summary for each in entries]
    assert summaries(found) == (expected if order == "oldest" else expected[::-1])


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({"service": "plain"}, lambda each: each.service == "plain"),
        ({"actor": "ada"}, lambda each: each.actor == "ada"),
        ({"event": "step.failed"}, lambda each: each.event == "step.failed"),
        ({"incident_id": "i3"}, lambda each: each.incident_id == "i3"),
        ({"severity": "high"}, lambda each: each.severity == "high"),
        ({"since": "2026-03-01T12:05:00Z"}, lambda each: each.at >= NOW + timedelta(minutes=5)),
        ({"until": "2026-03-01T14:05:00+02:00"}, lambda each: each.at < NOW + timedelta(minutes=5)),
        (
            {"service": "plain", "actor": "ada"},
            lambda each: (each.service, each.actor) == ("plain", "ada"),
        ),
    ],
)
async def test_a_filter_picks(client, entries, query, fits):
    page = (await client.get("/audit", params={"order": "oldest", **query})).json()
    assert summaries(page["items"]) == [each.summary for each in entries if fits(each)]
    assert page["items"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "2026-03-01T12:05:00"}, "since"),
        ({"event": "step.danced"}, "event"),
        ({"servce": "channels"}, "servce"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "WyJhIl0"}, "cursor"),
    ],
)
async def test_a_wrong_filter_is_named(client, query, field):
    """A misspelt one too: ignoring it would show facts that were not asked for."""
    answer = await client.get("/audit", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_csv_and_json_lines_hold_the_same_rows(client, entries):
    query = {"limit": 10}
    as_json = (await client.get("/audit", params=query)).json()["items"]
    lines = await client.get("/audit", params=query, headers={"Accept": "application/x-ndjson"})
    assert [json.loads(line) for line in lines.text.splitlines()] == as_json
    table = await client.get("/audit", params=query, headers={"Accept": "text/csv"})
    assert table.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    for row, entry in zip(rows, as_json, strict=True):
        assert json.loads(row["detail"]) == entry["detail"]
        for name in set(entry) - {"detail"}:
            assert row[name] == ("" if entry[name] is None else str(entry[name]))


async def test_the_next_page_is_linked_in_every_form(client, entries):
    """CSV has no place for a cursor of its own."""
    headers = {"Accept": "text/csv"}
    found, path = 0, "/api/system/audit?limit=10&actor=ada"
    while path:
        page = await client.get(f"http://holdfast.test{path}", headers=headers)
        found += len(page.text.splitlines()) - 1
        path = page.links["next"]["url"] if "next" in page.links else None
    assert found == sum(each.actor == "ada" for each in entries)


async def test_a_spreadsheet_finds_no_formula(client, services):
    """Messages come from anybody; CSV is opened by people's spreadsheets."""
    entry = an_entry(summary='=HYPERLINK("http://evil")', actor="@ada", detail={"a": "=1"})
    await Records(services.engine).write(Record(entries=(entry,)))
    table = await client.get("/audit", headers={"Accept": "text/csv"})
    [row] = csv.DictReader(io.StringIO(table.text))
    assert row["summary"] == '\'=HYPERLINK("http://evil")'
    assert row["actor"] == "'@ada"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.9", "application/json"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("application/x-ndjson;q=oops", "application/json"),
        ("text/csv;q=0", "application/json"),
    ],
)
async def test_the_form_is_negotiated(client, accept, media_type):
    answer = await client.get("/audit", headers={"Accept": accept})
    assert answer.headers["Content-Type"].split(";")[0] == media_type

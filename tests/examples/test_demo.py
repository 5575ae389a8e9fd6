"""The demo's pure parts: what it claims, and how it is told."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from examples.demo import timeline
from examples.demo.claims import (
    ClaimFailed,
    eventually,
    levels_paged,
    receivers,
    require,
    require_order,
)
from examples.demo.teller import Ending, Teller
from examples.demo.timeline import Mark, shortened
from examples.stand_ins.slack import Message, Whisper
from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.notification import NotificationKind

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BROKE = Mark(NOON, "kill -9 42")


def fact(event, *, after=0.0, summary="it happened", actor="holdfast", **detail):
    return AuditEntry(
        workflow_id="incident:channels:x",
        run_id="r",
        sequence=1,
        at=NOON + timedelta(seconds=after),
        event=event,
        incident_id="i",
        actor=actor,
        summary=summary,
        detail=detail,
    )


def paged(level, *, after=0.0):
    return fact(AuditEvent.ESCALATION_LEVEL_PAGED, after=after, level=level)


def message(number, *, kind, incident="i", channel="C1", sent_to="#live", thread=None):
    payload = {"incident_id": incident, "kind": kind}
    metadata = {"event_type": "holdfast_notification", "event_payload": payload}
    return Message(channel, sent_to, f"1.{number}", "text", [], thread, metadata)


def printed(tell, *, width=100, encoding="utf-8"):
    """What a teller writes to a pipe."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    tell(Teller(Console(file=file, width=width, highlight=False)))
    file.seek(0)
    return file.read()


async def found(value):
    return value


def test_a_claim_that_holds_goes_on():
    require("two is two", holds=True, seen=2)


def test_a_claim_that_fails_says_what_was_seen_instead():
    with pytest.raises(ClaimFailed, match="frames flow; seen instead: no frame"):
        require("frames flow", holds=False, seen="no frame")


async def test_a_claim_that_comes_true_gives_what_was_seen():
    seen = iter([1, 2, 3])
    value = await eventually(
        "it is two", lambda: found(next(seen)), holds=lambda n: n == 2, within=timedelta(seconds=5)
    )
    assert value == 2


async def test_a_claim_that_does_not_come_true_in_time_shows_the_last_look():
    with pytest.raises(ClaimFailed, match=r"it is two: not within 0 s; last seen: <1>"):
        await eventually(
            "it is two",
            lambda: found(1),
            holds=lambda n: n == 2,
            within=timedelta(0),
            shown=lambda n: f"<{n}>",
        )


def test_events_are_in_order_whatever_lies_between():
    entries = [fact(e) for e in (AuditEvent.INCIDENT_OPENED, AuditEvent.STEP_STARTED)]
    require_order(entries, AuditEvent.INCIDENT_OPENED, AuditEvent.STEP_STARTED)


@pytest.mark.parametrize(
    "events",
    [
        (AuditEvent.STEP_STARTED, AuditEvent.INCIDENT_OPENED),
        (AuditEvent.INCIDENT_OPENED, AuditEvent.INCIDENT_OPENED),
    ],
)
def test_an_event_out_of_order_or_too_few_fails_the_claim(events):
    entries = [fact(e) for e in (AuditEvent.INCIDENT_OPENED, AuditEvent.STEP_STARTED)]
    with pytest.raises(ClaimFailed, match=r"no incident\.opened in its place"):
        require_order(entries, *events)


def test_the_levels_are_read_from_the_log_in_its_order():
    """A level that was paged twice shows twice."""
    opened = fact(AuditEvent.INCIDENT_OPENED)
    assert levels_paged([opened, paged(1), paged(2), paged(2)]) == [1, 2, 2]


def test_receivers_are_those_of_one_incident_and_kind():
    messages = [
        message(1, kind="page"),
        message(2, kind="page", incident="other", channel="C2", sent_to="#else"),
        message(3, kind="acknowledged", sent_to="C1", thread="1.1"),
    ]
    assert receivers(messages, NotificationKind.PAGE, incident_id="i") == ["#live"]
    assert receivers(messages, NotificationKind.PAGE) == ["#live", "#else"]
    told = receivers(messages, NotificationKind.ACKNOWLEDGED, incident_id="i")
    assert told == ["#live"], "a reply is named by its thread's page"


def test_a_timeline_mixes_facts_and_acts_by_time_from_the_first_act():
    entries = [paged(1, after=6), paged(2, after=10)]
    rows = timeline.rows(entries, [BROKE, Mark(NOON + timedelta(seconds=7), "kill the worker")])
    assert [(row.seconds, row.actor) for row in rows] == [
        (0, "this demo"),
        (6, "holdfast"),
        (7, "this demo"),
        (10, "holdfast"),
    ]


def test_reports_that_follow_each_other_are_one_line():
    again = AuditEvent.INCIDENT_REPORTED
    entries = [
        fact(again, after=1, count=1),
        fact(again, after=2, count=2),
        paged(1, after=3),
        fact(again, after=4, count=1),
    ]
    rows = timeline.rows(entries, [BROKE])
    assert [row.summary for row in rows] == [
        "kill -9 42",
        "reported 3 more times",
        "it happened",
        "reported again",
    ]


def test_what_the_steps_tell_is_not_told_twice():
    rows = timeline.rows([fact(AuditEvent.RECOVERY_STARTED)], [BROKE])
    assert [row.actor for row in rows] == ["this demo"]


@pytest.mark.parametrize(
    ("summary", "short"),
    [
        ("http POST http://127.0.0.1:8100/restart answered 200", "http POST /restart answered 200"),
        ('answered 503, expected 2xx: {"done":false,"cha', "answered 503, expected 2xx"),
        ("two\nlines", "two lines"),
        ("x" * 200, "x" * 167 + "..."),
    ],
)
def test_a_summary_keeps_what_people_read(summary, short):
    assert shortened(summary) == short


def test_a_piped_timeline_is_plain_and_aligned():
    def tell(teller):
        teller.marks = [BROKE]
        teller.timeline([fact(AuditEvent.INCIDENT_ACKNOWLEDGED, after=1.5, actor="ada")])

    lines = [line.rstrip() for line in printed(tell).splitlines()]
    assert lines[1:] == [
        "  GET /api/system/audit?incident_id=i&order=oldest",
        "    time  event                  what happened  by",
        "  +0.0 s  -                      kill -9 42     this demo",
        "  +1.5 s  incident.acknowledged  it happened    ada",
    ]


def test_a_timeline_of_a_breaker_too_names_both_questions():
    """What the breaker did stands in its place among the facts of the incident."""
    tripped = fact(AuditEvent.BREAKER_CHANGED, after=1.0).model_copy(
        update={"service": "ingest", "summary": "the breaker opened"}
    )

    def tell(teller):
        teller.marks = [BROKE]
        teller.timeline([fact(AuditEvent.INCIDENT_OPENED), paged(1, after=2)], breaker=[tripped])

    lines = [line.split() for line in printed(tell).splitlines()]
    assert lines[1:3] == [
        ["GET", "/api/system/audit?incident_id=i&order=oldest"],
        ["GET", "/api/system/audit?service=ingest&order=oldest"],
    ]
    assert [line[2] for line in lines[4:]] == [
        "-",
        "incident.opened",
        "breaker.changed",
        "escalation.level_paged",
    ]


def test_what_slack_shows_is_told_by_where_it_is_shown():
    """To everybody, changed in place, in a thread, or to one member alone; each in a line."""
    posted = message(1, kind="page")

    def tell(teller):
        teller.slack(posted)
        teller.slack(replace(posted, edits=1))
        teller.slack(replace(posted, thread_ts="1.1", text="two\nlines"))
        teller.whisper(Whisper("U0LINUS", "C1", "Grace has it"))

    assert [" ".join(line.split()) for line in printed(tell).splitlines()] == [
        "# Slack, #live: text",
        "# Slack, #live, edited: text",
        "# Slack, in the thread: two lines",
        "# Slack, to U0LINUS alone: Grace has it",
    ]


@pytest.mark.parametrize(("encoding", "sign"), [("utf-8", "✓"), ("ascii", "ok")])
def test_what_was_checked_can_be_told_in_any_encoding(encoding, sign):
    text = printed(lambda teller: teller.checked("frames [flow]"), encoding=encoding)
    assert text.split() == [sign, "frames", "[flow]"]


def test_a_failure_shows_what_was_overheard():
    def tell(teller):
        teller.overheard.append("worker: it was tired")
        teller.failed("not as told")

    text = printed(tell)
    assert "not as told" in text
    assert "worker: it was tired" in text


def test_the_summary_has_a_line_for_each_story():
    text = printed(lambda teller: teller.summary([Ending("a fell", "picked it up", "1.0 s")]))
    assert "a fell" in text
    assert "what Holdfast did" in text


def test_a_duration_is_told_in_seconds():
    assert timeline.took(NOON, NOON + timedelta(seconds=3.25)) == "3.2 s"
    assert timeline.took(NOON, None) == "-"

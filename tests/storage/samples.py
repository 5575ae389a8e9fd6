"""Domain values as the tests of storage need them."""

import asyncio
import itertools
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from holdfast.domain.audit import AuditEntry, AuditEvent
from holdfast.domain.custody import Escalating
from holdfast.domain.incident import Incident
from holdfast.domain.report import Report, incident_workflow_id
from holdfast.domain.severity import Severity
from storage.intake import IntakeRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(minutes=1)
NO_LEASE = timedelta(seconds=-1)

_numbers = itertools.count(1)


def time_ordered_id() -> str:
    """A UUID of version 7's kind: each is greater than the one before."""
    return str(UUID(int=(0x0190_0000_0000_7000 << 64) + next(_numbers)))


def a_report(service="channels", message="connection refused", **fields) -> Report:
    return Report(service=service, error_type="RtmpError", message=message, **fields)


def a_row(fingerprint="f1", *, service="channels", count=1, at=NOW, **fields) -> IntakeRow:
    values = {
        "id": time_ordered_id(),
        "workflow_id": incident_workflow_id(service, fingerprint),
        "service": service,
        "fingerprint": fingerprint,
        "sample": a_report(service),
        "count": count,
        "first_at": at,
        "last_at": at,
    }
    return IntakeRow(**values | fields)


def an_incident(incident_id="i1", *, service="channels", opened_at=NOW, **fields) -> Incident:
    values = {
        "id": incident_id,
        "workflow_id": incident_workflow_id(service, incident_id),
        "service": service,
        "known_service": True,
        "fingerprint": incident_id,
        "title": "RtmpError: connection refused",
        "category": "rtmp_connection",
        "severity": Severity.HIGH,
        "reason": "built in",
        "report_count": 1,
        "sample": a_report(service),
        "opened_at": opened_at,
        "first_report_at": opened_at,
        "last_report_at": opened_at,
        "escalation": Escalating(reason="nobody is paged"),
    }
    return Incident(**values | fields)


def an_entry(sequence=1, *, at=NOW, event=AuditEvent.INCIDENT_OPENED, **fields) -> AuditEntry:
    values = {
        "workflow_id": "incident:channels:i1",
        "run_id": "run",
        "sequence": sequence,
        "at": at,
        "event": event,
        "service": "channels",
        "summary": "something happened",
    }
    return AuditEntry(**values | fields)


async def eventually(condition, *, within=timedelta(seconds=20)):
    """Wait until a condition holds; it may be asynchronous."""
    deadline = time.monotonic() + within.total_seconds()
    while True:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        assert time.monotonic() < deadline, "the condition did not come to hold"
        await asyncio.sleep(0.01)


async def run_module(module, **settings):
    """Run ``python -m module`` with these settings; gives its status and what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        env=environment | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()

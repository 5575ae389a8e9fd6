"""Owns the examples in the OpenAPI document: one story, told in what the operations answer."""

from typing import Any, Final

_ID: Final = "01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"
_FINGERPRINT: Final = "6f1b2f0c9d3e4a5b"
_TITLE: Final = "StreamProcessDied: the encoder of channel news exited with code 137"
_REASON: Final = "built-in rule 'stream died'"
_OPENED: Final = "2026-03-01T08:14:58Z"
_PAGED: Final = "2026-03-01T08:15:04Z"
_TAKEN: Final = "2026-03-01T08:17:30Z"
_NOW: Final = "2026-03-01T08:18:00Z"
_HASH: Final = "3f2a9c0d1e4b"

_SUMMARY: Final[dict[str, Any]] = {
    "id": _ID,
    "service": "channels",
    "title": _TITLE,
    "category": "stream_failure",
    "severity": "high",
    "status": "escalated",
    "reason": _REASON,
    "report_count": 14,
    "opened_at": _OPENED,
    "last_report_at": "2026-03-01T08:15:01Z",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "fingerprint": _FINGERPRINT,
}
ACTIVE: Final = {"items": [_SUMMARY], "cursor": None}

INCIDENT: Final[dict[str, Any]] = _SUMMARY | {
    "workflow_id": f"incident:channels:{_FINGERPRINT}",
    "known_service": True,
    "sample": {
        "service": "channels",
        "error_type": "StreamProcessDied",
        "message": "the encoder of channel news exited with code 137",
        "error_bases": [],
        "category": None,
        "severity": None,
        "fingerprint": None,
        "stack": [],
        "context": {"channel": "news", "exit_code": 137},
        "labels": {"region": "eu-west"},
        "user": None,
        "trace_id": None,
        "occurred_at": _OPENED,
    },
    "first_report_at": _OPENED,
    "resolved_at": None,
    "resolved_by": None,
    "resolution": None,
    "note": None,
    "custody": {
        "person": None,
        "via": None,
        "remind_at": None,
        "ends_at": None,
        "snoozed_until": None,
        "snoozed_by": None,
        "assigned_to": None,
        "used_links": [],
    },
    "remarks": [],
    "attempts": [
        {
            "step": "restart",
            "action": "restart",
            "number": 1,
            "of": 2,
            "status": "failed",
            "reason": "HTTP 200; not well after 20s",
            "started_at": _OPENED,
            "finished_at": "2026-03-01T08:15:03Z",
        }
    ],
    "escalation": {
        "policy": "on-call",
        "reason": "escalation rule 1 chose 'on-call'",
        "level": 1,
        "round": 1,
        "held_until": None,
        "next_level_at": "2026-03-01T08:20:04Z",
    },
    "deliveries": [
        {
            "notification_id": f"{_ID}:page:1:1:1",
            "kind": "page",
            "target": {"channel": "slack", "to": "#on-call"},
            "level": 1,
            "round": 1,
            "status": "sent",
            "queued_at": _PAGED,
            "finished_at": "2026-03-01T08:15:05Z",
            "failure": None,
            "reason": None,
            "reference": "1772352905.000100",
        }
    ],
    "source": "workflow",
}
_ESCALATION: Final = INCIDENT["escalation"]
ACKNOWLEDGED: Final = INCIDENT | {
    "status": "acknowledged",
    "acknowledged_at": _TAKEN,
    "acknowledged_by": "ada",
    "escalation": _ESCALATION | {"next_level_at": None},
}
RESOLVED: Final = ACKNOWLEDGED | {
    "status": "resolved",
    "resolved_at": _NOW,
    "resolved_by": "ada",
    "resolution": "person",
    "note": "the disk was full; it has been extended",
}

_COUNTS: Final = {"attempts": 8, "succeeded": 6, "failed": 2, "skipped": 1, "success_rate": 0.75}
STATISTICS: Final = {
    "since": "2026-02-28T08:18:00Z",
    "until": _NOW,
    "steps": _COUNTS,
    "by_category": {"stream_failure": _COUNTS},
    "by_step": {"restart": _COUNTS},
    "opened": 7,
    "resolved": 6,
    "by_resolution": {"recovered": 5, "person": 1},
    "to_acknowledge": {"count": 1, "mean": "2m32s", "p50": "2m32s", "p95": "2m32s"},
    "to_recover": {"count": 5, "mean": "8.4s", "p50": "7.9s", "p95": "14.2s"},
    "to_resolve": {"count": 6, "mean": "41.2s", "p50": "9.1s", "p95": "3m20s"},
}
RESTART: Final[dict[str, Any]] = {
    "service": "channels",
    "action": "restart",
    "request_id": "restart:42",
    "run_id": "restart:42",
    "status": "queued",
    "ahead": 0,
    "outcome": None,
}

_ENTRY: Final = {
    "id": 1042,
    "workflow_id": f"incident:channels:{_FINGERPRINT}",
    "run_id": "0196-4c51",
    "sequence": 6,
    "at": _TAKEN,
    "event": "incident.acknowledged",
    "service": "channels",
    "incident_id": _ID,
    "category": "stream_failure",
    "severity": "high",
    "actor": "ada",
    "summary": "ada has it",
    "detail": {},
}
AUDIT: Final = {"items": [_ENTRY], "cursor": "WyIyMDI2LTAzLTAxVDA4OjE3OjMwWiIsICIxMDQyIl0"}
AUDIT_CSV: Final = (
    "workflow_id,run_id,sequence,at,event,service,incident_id,category,severity,actor,summary,"
    f"detail,id\r\nincident:channels:{_FINGERPRINT},0196-4c51,6,{_TAKEN},incident.acknowledged,"
    f"channels,{_ID},stream_failure,high,ada,ada has it,{{}},1042\r\n"
)
AUDIT_LINES: Final = '{"sequence":6,"event":"incident.acknowledged","actor":"ada"}\n'

CONFIGURATION: Final = {
    "path": "/etc/holdfast/holdfast.yaml",
    "hash": _HASH,
    "policy": {"version": 1, "services": {"channels": {"description": "live channels"}}},
}
RELOADED: Final = {
    "hash": _HASH,
    "changes": [{"path": "services.channels.limit.actions", "old": 5, "new": 3}],
}

KEY: Final = {
    "id": "5b0c9a52-1b1e-4f57-9d4e-0c6a2f6f7a10",
    "name": "channels",
    "roles": ["reporter"],
    "created_at": _OPENED,
    "revoked_at": None,
}
KEYS: Final = {"items": [KEY], "cursor": None}
ISSUED_KEY: Final = KEY | {"secret": "hf_Zm9yIHRoZSBleGFtcGxlIG9ubHksIG5vIGtleQ"}

_UP: Final[dict[str, Any]] = {"status": "up", "latency_ms": 1.8}
HEALTH: Final[dict[str, Any]] = {
    "status": "healthy",
    "checked_at": _NOW,
    "postgres": _UP,
    "temporal": _UP,
    "worker": _UP,
}
UNHEALTHY: Final = HEALTH | {"status": "unhealthy", "temporal": _UP | {"status": "down"}}
_PROCESS: Final = {
    "id": "0d5a7c1e-5b9f-4a5c-9b86-41f6d7b4a3f0",
    "kind": "api",
    "host": "holdfast-1",
    "pid": 71,
    "started_at": "2026-02-28T20:00:00Z",
    "seen_at": _NOW,
    "policy_hash": _HASH,
    "version": "0.1.0",
}
STATUS: Final = {
    "version": "0.1.0",
    "process": _PROCESS | {"seen_at": None},
    "hearing": True,
    "health": HEALTH | {"worker": _UP | {"detail": "1 with a heartbeat"}},
    "policy": {"hash": _HASH, "services": 1, "problems": [], "differs": False},
    "channels": [
        {
            "name": "slack",
            "kind": "slack",
            "ok": False,
            "failure": "configuration",
            "reason": "Slack refuses the channel's token: invalid_auth",
            "since": _OPENED,
            "checked_at": _NOW,
        }
    ],
    "calendars": [
        {
            "name": "primary",
            "ok": True,
            "failure": None,
            "reason": None,
            "since": _OPENED,
            "checked_at": _NOW,
        }
    ],
    "keys": {"active": 3, "refreshed_at": _NOW},
    "monitored": True,
    "outcomes_dropped": 0,
    "guidance": {"revision": f"{_HASH}.42", "current": True, "streams": 20},
    "record": {
        "processes": [_PROCESS],
        "intake": {"rows": 0, "reports": 0, "oldest_at": None},
        "incidents": {
            "total": 1,
            "by_status": {"escalated": 1},
            "by_severity": {"high": 1},
            "by_service": {"channels": 1},
        },
        "breakers_open": ["channels"],
        "degraded": [{"service": "channels", "level": 1}],
        "recoveries": [
            {"service": "channels", "running": "restart", "queued": 0, "fallback_since": None}
        ],
    },
    "record_problem": None,
}

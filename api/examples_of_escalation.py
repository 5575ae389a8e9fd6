"""Owns the examples of escalations in the OpenAPI document: the same night, told in their words."""

from typing import Any, Final

from api.examples import ACKNOWLEDGED, INCIDENT

_ID: Final[str] = INCIDENT["id"]
_OPENED: Final = "2026-03-01T03:14:58Z"
_PAGED: Final = "2026-03-01T03:15:04Z"
_NEXT: Final = "2026-03-01T03:20:04Z"
_WHO: Final = "Ada Lovelace (on call: primary)"
_NEXT_LEVEL: Final = {"what": "level 2 is paged unless somebody acknowledges", "at": _NEXT}

_TOLD: Final[dict[str, Any]] = {
    "id": f"{_ID}:page:1:1",
    "kind": "page",
    "target": "on call: primary",
    "person": "ada",
    "channel": "slack",
    "to": "U024BE7LH",
    "level": 1,
    "round": 1,
    "status": "sent",
    "queued_at": _PAGED,
    "finished_at": "2026-03-01T03:15:07Z",
    "held_until": None,
    "next_contact_at": None,
    "failure": None,
    "reason": None,
    "attempts": [
        {"at": _PAGED, "problem": "Slack answered 503"},
        {"at": "2026-03-01T03:15:07Z", "problem": None},
    ],
    "underway": None,
    "bundled": [],
}
_RULE: Final = "escalation rule 1 chose 'on-call'"
ESCALATION: Final[dict[str, Any]] = {
    "incident_id": _ID,
    "service": "channels",
    "title": INCIDENT["title"],
    "severity": "high",
    "status": "escalated",
    "opened_at": _OPENED,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "assigned_to": None,
    "snoozed_until": None,
    "policy": "on-call",
    "reason": _RULE,
    "choices": [{"at": _OPENED, "policy": "on-call", "severity": "high", "reason": _RULE}],
    "level": 1,
    "round": 1,
    "hold": None,
    "unreached": [],
    "told": [_TOLD],
    "next": _NEXT_LEVEL,
    "source": "workflow",
}
ESCALATIONS: Final = {"items": [ESCALATION | {"source": "record"}], "cursor": None}

ESCALATED: Final = INCIDENT | {"status": "escalated"}
SNOOZED: Final = ACKNOWLEDGED | {
    "custody": ACKNOWLEDGED["custody"]
    | {"snoozed_until": "2026-03-01T07:30:00Z", "snoozed_by": "ada"}
}

SIMULATION: Final[dict[str, Any]] = {
    "classification": {
        "category": "stream_failure",
        "severity": "high",
        "reason": INCIDENT["reason"],
    },
    "severity": "high",
    "raised_by": None,
    "policy": "on-call",
    "reason": _RULE,
    "steps": [
        {
            "at": _OPENED,
            "what": "recovery has its chance",
            "level": None,
            "round": None,
            "hold": {
                "kind": "recovery",
                "until": "2026-03-01T03:16:58Z",
                "reason": "unless recovery helps before, or has nothing left to try",
                "by": None,
            },
            "told": [],
        },
        {
            "at": "2026-03-01T03:16:58Z",
            "what": "level 1 of 'on-call' is paged",
            "level": 1,
            "round": 1,
            "hold": None,
            "told": [
                {
                    "who": _WHO,
                    "mandatory": True,
                    "contacts": [
                        {
                            "at": "2026-03-01T03:16:58Z",
                            "contact": {"channel": "slack", "to": "U024BE7LH"},
                        },
                        {
                            "at": "2026-03-01T03:17:58Z",
                            "contact": {"channel": "sms", "to": "+15550100001"},
                        },
                    ],
                    "problem": "",
                }
            ],
        },
    ],
    "cut": False,
}

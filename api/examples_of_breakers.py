"""Owns the examples of breakers and of services that serve less in the OpenAPI document."""

from typing import Any, Final

_ID: Final = "01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"
_OPENED: Final = "2026-03-01T08:15:04Z"
_WHY: Final = "StreamProcessDied: the encoder of channel news exited with code 137"
_HOLDS: Final = [{"incident_id": _ID, "reason": _WHY, "since": _OPENED, "level": 1}]
_RULES: Final[dict[str, Any]] = {
    "window": "PT30S",
    "window_calls": None,
    "minimum_calls": 20,
    "failure_rate": 0.5,
    "slow_after": "PT2S",
    "slow_rate": 0.5,
    "count_only": [],
    "ignore": ["ValidationError"],
    "reports_count": True,
    "quorum": 0.3,
    "open_for": {"initial": "PT5S", "factor": 2.0, "maximum": "PT1M", "jitter": 0.2},
    "leases": 3,
    "lease_for": "PT10S",
    "ramp": [0.05, 0.25, 0.5],
    "ramp_step": "PT10S",
}

BREAKER: Final[dict[str, Any]] = {
    "service": "channels",
    "status": "open",
    "epoch": 3,
    "since": _OPENED,
    "reason": _WHY,
    "share": 1.0,
    "share_until": None,
    "mode": None,
    "holds": _HOLDS,
    "trips": 0,
    "probes_at": None,
    "leases": [],
    "probes_passed": 0,
    "rules": _RULES,
    "calls": {
        "window": "30s",
        "reporters": 20,
        "calls": 100,
        "failures": 61,
        "slow": 12,
        "failure_rate": 0.61,
        "slow_rate": 0.12,
    },
    "source": "workflow",
}
BREAKERS: Final = {"items": [BREAKER | {"source": "record"}], "cursor": None}
FORCED_OPEN: Final = BREAKER | {
    "status": "forced_open",
    "epoch": 4,
    "reason": "the provider is being moved",
    "holds": [],
    "mode": {
        "by": "ada",
        "reason": "the provider is being moved",
        "since": _OPENED,
        "until": "2026-03-01T08:45:04Z",
    },
}
LEASE: Final = {"granted": True, "expires_in": "PT9.8S", "reason": "one probe call"}
DEGRADED: Final = {
    "items": [
        {
            "service": "channels",
            "level": 1,
            "name": "lean",
            "since": _OPENED,
            "features_off": ["thumbnails"],
            "holds": _HOLDS,
        }
    ],
    "cursor": None,
}
GUIDANCE: Final[dict[str, Any]] = {
    "revision": "3f2a9c0d1e4b.42",
    "services": [
        {
            "service": "channels",
            "breaker": {
                "status": "open",
                "epoch": 3,
                "reason": _WHY,
                "since": _OPENED,
                "probes_at": None,
                "share": 1.0,
            },
            "rules": _RULES,
            "features_off": ["thumbnails"],
        }
    ],
}

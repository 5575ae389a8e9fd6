"""Owns the policy file that Holdfast is measured with: the built-in behaviour, without waiting."""

import json

RECOVERED = "stream_failure"
PAGED = "authorization"

# Recovery runs one action at a time on one service, so throughput is measured over some services.
SERVICES = tuple(f"service-{number:02}" for number in range(20))

# A service whose incidents are over soon; those of the others wait for quiet until they are
# cleared away, so that nothing goes on beside what is measured.
BRIEF = "brief"
_LONG, _SHORT = "1h", "500ms"


def policy_text(receiver: str) -> str:
    """The file, as JSON, which is YAML as well.

    Args:
        receiver: Where actions, health checks and pages go.
    """
    services = {name: _service(receiver, settle=_LONG) for name in SERVICES}
    policy = {"levels": [{"targets": [{"channel": "receiver"}], "escalate_after": _LONG}]}
    return json.dumps(
        {
            "services": services | {BRIEF: _service(receiver, settle=_SHORT)},
            "categories": {PAGED: {"strategy": [{"step": "escalate"}]}},
            "escalation": {
                "policies": {"default": policy | {"hold_page_for": _LONG}},
                "rules": [{"policy": "default", "category": [PAGED], "hold_page_for": "0s"}],
            },
            # Each incident is measured for itself.
            "bundling": {"within": "0s"},
            "channels": {"receiver": {"kind": "webhook", "url": f"{receiver}/pages"}},
        },
        indent=1,
    )


def _service(receiver: str, *, settle: str) -> dict[str, object]:
    return {
        "health": {"url": f"{receiver}/health"},
        "actions": {"restart": {"kind": "http", "url": f"{receiver}/{{fingerprint}}"}},
        "limit": {"actions": 1000, "within": "1s"},
        "strategies": {RECOVERED: [{"step": "restart", "settle": settle}]},
    }

import asyncio
import dataclasses
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import Client

from activities.actions.health import HealthChecks
from activities.recover import RecoverActivities
from holdfast.domain.action import HealthCheck
from holdfast.domain.recovery import RecoveryRequest, RecoveryRun, RecoveryStatus
from tests.activities.stand_in import answers, drops, eventually

QUICK = {"interval": "10ms", "patience": "80ms", "timeout": "2s"}


@pytest.fixture
def policy(make_policy):
    return make_policy(commands={"fix": {"argv": ["true"]}, "tell": {"argv": ["env"]}})


@pytest.fixture
def perform(activity_environment, policy, secrets, http):
    unconnected = Client.connect("127.0.0.1:1", lazy=True)

    async def perform(**request):
        activities = RecoverActivities(lambda: policy, secrets, await unconnected, http)
        run = RecoveryRun(
            requests=(
                RecoveryRequest.model_validate(
                    {"id": f"run-{uuid4()}", "service": "channels", "action_name": "restart"}
                    | request
                ),
            )
        )
        return await activity_environment.run(activities.perform_recovery, run)

    return perform


def restart(service):
    return {"kind": "http", "url": f"{service.url}/restart"}


def health(service, **changes):
    return {"url": f"{service.url}/health"} | QUICK | changes


async def test_a_recovery_succeeds_when_the_health_check_passes(perform, service):
    """The action alone proves nothing."""
    service.expect("POST /restart", answers())
    service.expect("GET /health", answers())
    result = await perform(id="run-7", action=restart(service), health=health(service))
    assert result.status is RecoveryStatus.SUCCEEDED
    assert result.reason.startswith(f"http POST {service.url}/restart answered 200 in ")
    assert result.reason.endswith(" ms; health check passed")
    assert service.requests[0].headers["Idempotency-Key"] == "run-7"
    assert result.detail["action"]["status"] == 200
    assert result.detail["health"]["well"] is True


async def test_without_a_health_check_the_action_decides(perform):
    """There is nothing else to look at."""
    result = await perform(action={"kind": "command", "command": "fix"})
    assert result.status is RecoveryStatus.SUCCEEDED
    assert result.reason.startswith("command 'fix' ended well after ")


async def test_health_is_waited_for(perform, service):
    """A service needs a moment to come up: connections fail, then it answers 503, then 200."""
    service.expect("POST /restart", answers())
    service.expect("GET /health", drops, answers(503), answers(200))
    result = await perform(action=restart(service), health=health(service, patience="10s"))
    assert result.status is RecoveryStatus.SUCCEEDED
    assert "; health check passed after " in result.reason
    assert result.detail["health"]["looks"] == 3


async def test_a_service_that_stays_ill_is_a_failed_recovery(perform, service):
    """The reason ends with what was seen last."""
    service.expect("GET /health", answers(503))
    result = await perform(health=health(service, patience="0s"), timeout="0s")
    assert result.status is RecoveryStatus.FAILED
    assert result.reason.startswith("health check did not pass within ")
    assert result.reason.endswith(f"GET {service.url}/health last answered 503")


async def test_a_service_that_is_away_is_a_failed_recovery(perform, service, closed_url):
    """The connection's error is told."""
    check = {"url": f"{closed_url}/health"} | QUICK
    service.expect("POST /restart", answers())
    result = await perform(action=restart(service), health=check)
    assert result.status is RecoveryStatus.FAILED
    assert result.reason.endswith("last failed: Connection refused")
    assert result.detail["health"]["looks"] > 1


async def test_a_health_check_that_hangs_is_a_failed_look(perform, service):
    """One look has its own timeout."""
    service.expect("GET /health", service.hangs)
    result = await perform(health=health(service, patience="0s", timeout="500ms"), timeout="0s")
    assert result.reason.endswith("last gave no answer within 0.5 s")


async def test_a_look_does_not_outlast_patience_by_much(service, http, secrets):
    """The workflow counts on the whole to end in time, however long one look may take."""
    checks = HealthChecks(http, secrets, last_look=timedelta(milliseconds=500))
    check = HealthCheck.model_validate(health(service, timeout="1h"))
    service.expect("GET /health", service.hangs)
    seen = await checks.until_well(check, patience=timedelta(0))
    assert str(seen).endswith("last gave no answer within 0.5 s")


async def test_waiting_for_health_alone_has_the_longer_patience(perform, service):
    """Without an action the request's timeout is time to get well by itself."""
    service.expect("GET /health", answers(503), answers(503), answers(200))
    result = await perform(health=health(service, patience="0s"), timeout="10s")
    assert result.status is RecoveryStatus.SUCCEEDED
    assert result.reason.startswith("health check passed after ")


async def test_health_is_not_asked_after_a_failed_action(perform, service):
    """A service that is well without the action was not recovered by it."""
    service.expect("POST /restart", answers(500))
    result = await perform(action=restart(service), health=health(service))
    assert result.status is RecoveryStatus.FAILED
    assert "answered 500, expected 2xx" in result.reason
    assert result.detail["action"]["status"] == 500


async def test_the_requests_timeout_bounds_the_action(perform, service):
    """A step's attempt has its time, whatever the action allows itself."""
    service.expect("POST /restart", service.hangs)
    result = await perform(action=restart(service), timeout="500ms")
    assert result.status is RecoveryStatus.FAILED
    assert result.reason.endswith("no answer within 0.5 s")


@pytest.mark.parametrize(
    "request_",
    [
        {"action": {"kind": "command", "command": "unlisted"}},
        {"action": {"kind": "http", "url": "http://127.0.0.1:1/", "secret": "${ABSENT}"}},
        {"health": {"url": "http://127.0.0.1:1/", "headers": {"Authorization": "${ABSENT}"}}},
        {},
    ],
)
async def test_a_wrong_configuration_is_a_failed_recovery(perform, request_):
    """Never an error that Temporal would try again and again."""
    result = await perform(**request_)
    assert result.status is RecoveryStatus.FAILED
    assert any(word in result.reason for word in ("unlisted", "ABSENT", "neither"))


async def test_secrets_that_are_echoed_are_hidden(perform, service):
    """The result is kept in the audit log and shown in Slack."""
    service.expect("POST /restart", answers(401, "unknown key: key-of-the-service"))
    result = await perform(action=restart(service) | {"headers": {"X-Key": "${SERVICE_KEY}"}})
    assert result.reason.endswith("unknown key: [secret]")
    assert result.detail["action"]["response"] == "unknown key: [secret]"


async def test_it_heartbeats_all_the_while(perform, service, activity_environment):
    """So that Temporal notices a killed worker long before the action's timeout."""
    beats = []
    activity_environment.info = dataclasses.replace(
        activity_environment.info, heartbeat_timeout=timedelta(milliseconds=40)
    )
    activity_environment.on_heartbeat = lambda *_: beats.append(1)

    async def answer_after_beats(request):
        seen = len(beats)
        await eventually(lambda: len(beats) >= seen + 3)
        return await answers()(request)

    service.expect("POST /restart", answer_after_beats)
    service.expect("GET /health", answer_after_beats)
    await perform(action=restart(service), health=health(service))
    assert len(beats) >= 6


async def test_nothing_beats_on_after_the_end(perform, activity_environment):
    """The heartbeat ends with its activity."""
    await perform()
    names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
    assert "_beat" not in names


async def test_a_worker_that_cannot_ask_temporal_raises(perform):
    """That is the worker's own trouble: Temporal runs the recovery again."""
    action = {"kind": "run_workflow", "workflow": "Move", "task_queue": "users"}
    with pytest.raises(RuntimeError):
        await perform(action=action, timeout="2s")

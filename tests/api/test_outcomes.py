"""What processes tell of their guarded calls is taken at once and written a moment later."""

import pytest

from api.app import create_app
from config.temporal import connect
from holdfast.domain.breaker_rules import BreakerRules
from storage.outcomes import OutcomeLedger
from storage.seat import MONITOR, Seat
from tests.api.conftest import opened
from tests.api.stage import client_of, eventually, stopped
from workflows.breaker import BreakerInput, CircuitBreakerWorkflow


def telling(calls=10, failures=0, *, reporter="one", service="payments", **batch):
    outcomes = [{"service": service, "epoch": 0, "calls": calls, "failures": failures}]
    return {"reporter": reporter, "outcomes": outcomes} | batch


async def written(services, service="payments"):
    """What the ledger has of a service, by reporter."""
    windows = await OutcomeLedger(services.engine).windows({service: BreakerRules()})
    return {
        reporter: (each.calls, each.failures)
        for window in windows
        for reporter, each in window.by_reporter.items()
    }


async def holds(services, expected, service="payments"):
    """The ledger comes to hold exactly this."""

    async def condition():
        return await written(services, service) == expected

    await eventually(condition)


async def test_outcomes_of_many_reporters_add_up(client, services):
    for reporter in ("one", "two", "one"):
        answer = await client.post("/outcomes", json=telling(10, 3, reporter=reporter))
        assert (answer.status_code, answer.content) == (204, b"")
    await holds(services, {"one": (20, 6), "two": (10, 3)})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reporter"),
        ({"reporter": "two words"}, "reporter"),
        ({"reporter": "reports"}, "reporter"),
        (telling(colour="red"), "colour"),
        (telling(service="no service!"), "outcomes.0.service"),
        (telling(outcomes=[{"service": "payments", "epoch": 2**60}]), "outcomes.0.epoch"),
        (telling(outcomes=[{"service": "payments", "epoch": 0, "call": 1}]), "outcomes.0.call"),
        (telling(calls=1, failures=2), "outcomes.0"),
        (telling(probes=[{"service": "payments", "epoch": 0}]), "probes.0.lease_id"),
    ],
)
async def test_what_cannot_be_taken_names_the_field(client, body, field):
    answer = await client.post("/outcomes", json=body)
    assert answer.status_code == 422
    assert field in [each["field"] for each in answer.json()["errors"]]


async def test_a_telling_may_be_as_long_as_a_process_has_services(client, services):
    long = [
        {"service": f"{'s' * 90}-{n:03}", "epoch": 0, "calls": 100_000_000, "failures": 99_999_999}
        for n in range(1000)
    ]
    answer = await client.post("/outcomes", json=telling(outcomes=long))
    assert answer.status_code == 204
    await holds(services, {"one": (100_000_000, 99_999_999)}, service=long[-1]["service"])


async def test_a_report_that_was_taken_is_a_failed_call(client, services):
    """Of one reporter for the whole service, however many processes report."""
    report = {"service": "plain", "error_type": "Broken", "message": "it broke"}
    answer = await client.post("/errors", json=[report, report | {"service": "no service!"}])
    assert answer.status_code == 202
    await client.post("/errors", json=report | {"message": "otherwise"})
    await holds(services, {"reports": (2, 2)}, service="plain")


async def test_the_status_tells_whether_anybody_watches(client, services):
    assert (await client.get("/status")).json()["monitored"] is False
    seat = Seat(services.engine, MONITOR)
    assert await seat.held()
    status = (await client.get("/status")).json()
    assert (status["monitored"], status["outcomes_dropped"]) == (True, 0)
    seat.leave()


async def test_a_short_outage_of_postgresql_loses_nothing(settings_apart, server):
    """And nobody who tells has to wait for it."""
    async with opened(settings_apart) as services, client_of(create_app(services)) as client:
        with stopped(server):
            answer = await client.post("/outcomes", json=telling(10))
            assert answer.status_code == 204
        await client.post("/outcomes", json=telling(7))
        await holds(services, {"one": (17, 0)})
        assert services.outcome_book.dropped == 0


async def test_probe_results_reach_their_breaker(client, services, service):
    """Those of a breaker that does not run are nobody's."""
    temporal = await connect(services.settings)
    probes = [
        {"service": each, "epoch": 3, "lease_id": f"l{n}", "passed": passed}
        for n, (each, passed) in enumerate([(service, True), ("nobody", True), (service, False)])
    ]
    handle = await temporal.start_workflow(
        CircuitBreakerWorkflow.run,
        BreakerInput(service=service),
        id=f"breaker:{service}",
        task_queue=services.settings.task_queue,
    )
    answer = await client.post("/outcomes", json=telling(probes=probes))
    assert answer.status_code == 204

    async def signals():
        # There is no worker: what was signalled lies in the history.
        history = await handle.fetch_history()
        found = [
            each.workflow_execution_signaled_event_attributes
            for each in history.events
            if each.HasField("workflow_execution_signaled_event_attributes")
        ]
        return [
            temporal.data_converter.payload_converter.from_payloads(each.input.payloads)
            for each in found
        ]

    [[message]] = await eventually(signals)
    assert message == {"results": [probes[0], probes[2]]}
    await handle.terminate()

"""The numbers on recovery, counted by hand beside them."""

from datetime import timedelta

from holdfast.domain.audit import AuditEvent
from holdfast.domain.incident_status import IncidentStatus, Resolution
from holdfast.domain.record import Record
from storage.audit import Audit
from storage.records import Records
from storage.statistics import Durations, RecoveryStatistics, Statistics, StepCounts
from tests.storage.samples import NOW, an_entry, an_incident

HOUR = timedelta(hours=1)


def a_step(sequence, event, *, step, category, at=NOW - timedelta(minutes=1)):
    detail = {"step": step, "action": step, "number": 1, "of": 3}
    return an_entry(sequence, at=at, event=event, category=category, detail=detail)


async def test_without_incidents_there_is_nothing_to_tell(engine):
    statistics = await Statistics(engine).recovery(HOUR, now=NOW)
    assert statistics == RecoveryStatistics(since=NOW - HOUR, until=NOW)


async def test_attempts_are_counted_by_category_and_step(engine):
    """A skipped step is not an attempt; what is outside of the window does not count."""
    won, lost, skipped = (
        AuditEvent.STEP_SUCCEEDED,
        AuditEvent.STEP_FAILED,
        AuditEvent.STEP_SKIPPED,
    )
    facts = [
        a_step(1, won, step="retry", category="network"),
        a_step(2, lost, step="retry", category="network"),
        a_step(3, lost, step="retry", category="api"),
        a_step(4, won, step="restart", category="api"),
        a_step(5, skipped, step="fallback", category="api"),
        a_step(6, won, step="restart", category="api", at=NOW - HOUR - timedelta(seconds=1)),
        a_step(7, won, step="restart", category="api", at=NOW),
        an_entry(8, at=NOW - HOUR, event=AuditEvent.STEP_STARTED, category="api"),
    ]
    for fact in facts:
        await Audit(engine).append(fact)

    statistics = await Statistics(engine).recovery(HOUR, now=NOW)

    assert statistics.steps == StepCounts(
        attempts=4, succeeded=2, failed=2, skipped=1, success_rate=0.5
    )
    assert statistics.by_category == {
        "network": StepCounts(attempts=2, succeeded=1, failed=1, success_rate=0.5),
        "api": StepCounts(attempts=2, succeeded=1, failed=1, skipped=1, success_rate=0.5),
    }
    assert statistics.by_step == {
        "retry": StepCounts(attempts=3, succeeded=1, failed=2, success_rate=1 / 3),
        "restart": StepCounts(attempts=1, succeeded=1, success_rate=1.0),
        "fallback": StepCounts(skipped=1),
    }


async def test_times_to_acknowledge_and_to_recover(engine):
    opened = NOW - timedelta(minutes=50)

    def incident(key, *, acknowledged=None, resolved=None, how=None, opened_at=opened):
        minutes = {"acknowledged_at": acknowledged, "resolved_at": resolved}
        times = {k: v and opened_at + timedelta(minutes=v) for k, v in minutes.items()}
        status = IncidentStatus.RESOLVED if resolved else IncidentStatus.TRIGGERED
        return an_incident(key, opened_at=opened_at, status=status, resolution=how, **times)

    incidents = [
        incident("a", resolved=10, how=Resolution.RECOVERED),
        incident("b", resolved=20, how=Resolution.RECOVERED),
        incident("c", acknowledged=4, resolved=30, how=Resolution.PERSON),
        incident("d", acknowledged=8),
        incident("e", resolved=70, how=Resolution.QUIET, opened_at=NOW - timedelta(minutes=90)),
        incident("f", resolved=10, how=Resolution.QUIET, opened_at=NOW - timedelta(minutes=90)),
    ]
    for each in incidents:
        entry = an_entry(workflow_id=each.workflow_id)
        await Records(engine).write(Record(entries=(entry,), incident=each))

    statistics = await Statistics(engine).recovery(HOUR, now=NOW)

    def minutes(value):
        return timedelta(minutes=value)

    assert statistics.opened == 4
    assert statistics.resolved == 4
    assert statistics.by_resolution == {
        Resolution.RECOVERED: 2,
        Resolution.PERSON: 1,
        Resolution.QUIET: 1,
    }
    assert statistics.to_acknowledge == Durations(
        count=2, mean=minutes(6), p50=minutes(6), p95=minutes(7.8)
    )
    assert statistics.to_recover == Durations(
        count=2, mean=minutes(15), p50=minutes(15), p95=minutes(19.5)
    )
    assert statistics.to_resolve == Durations(
        count=4, mean=minutes(32.5), p50=minutes(25), p95=minutes(64)
    )

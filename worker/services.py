"""Owns the worker's composition: its parts, made from the settings and put together."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker

from activities.coordinate import CoordinateActivities
from activities.escalate import EscalateActivities
from activities.notify import HEARTBEAT_EVERY, NotifyActivities
from activities.record import RecordActivities
from activities.recover import RecoverActivities
from config.policy import PolicyHolder, load, missing_secrets
from config.secrets import Secrets
from config.settings import Settings
from config.temporal import connect, ensure_search_attributes
from config.version import running_version
from storage.database import create_engine
from storage.migrate import database_url
from storage.policy_reload import PolicyReload
from storage.presence import POLICY_CHANGED, SILENCES_CHANGED, Presence
from storage.processes import ProcessKind
from storage.records import Records
from worker.monitor import Monitor, tripping
from worker.paging import Paging
from workflows.breaker import CircuitBreakerWorkflow
from workflows.degradation import DegradationWorkflow
from workflows.incident import IncidentWorkflow
from workflows.recovery import RecoveryWorkflow

log = structlog.get_logger(__name__)

WORKFLOWS = (
    IncidentWorkflow,
    RecoveryWorkflow,
    CircuitBreakerWorkflow,
    DegradationWorkflow,
)

# After a crash, workflows wait for the dead worker's cache no longer than this.
_STICKY_PATIENCE = timedelta(seconds=1)
_GRACE = timedelta(seconds=2)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    """A worker with all that it needs, at work while the context is open.

    Raises:
        ConfigurationError: If the policy file is broken or no database is set.
    """
    async with AsyncExitStack() as stack:
        policy = PolicyHolder(load(settings.config))
        secrets = Secrets(os.environ)
        _tell_missing_secrets(policy)
        engine = create_engine(database_url(settings))
        stack.push_async_callback(engine.dispose)
        client = await connect(settings)
        await ensure_search_attributes(client)
        http = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=False))
        paging = Paging.composed(
            settings,
            policy=lambda: policy.policy,
            secrets=secrets,
            engine=engine,
            http=http,
            namespace=client.namespace,
        )
        stack.push_async_callback(paging.close)
        recover = RecoverActivities(
            policy=lambda: policy.policy, secrets=secrets, client=client, http=http
        )
        worker = make_worker(
            client,
            settings,
            record=RecordActivities(Records(engine)),
            coordinate=CoordinateActivities(client, settings.task_queue),
            notify=paging.notify,
            escalate=paging.escalate,
            recover=recover,
        )
        presence = _presence(engine, policy, paging)
        await stack.enter_async_context(worker)
        await presence.start()
        stack.push_async_callback(presence.stop)
        await paging.check_up.start()
        monitor = _monitor(engine, client, settings, policy)
        await monitor.start()
        stack.push_async_callback(monitor.stop)
        yield worker


def _monitor(
    engine: AsyncEngine, client: Client, settings: Settings, policy: PolicyHolder
) -> Monitor:
    trip = tripping(client, settings.task_queue)
    return Monitor(engine, policy=lambda: policy.policy, trip=trip)


def _presence(engine: AsyncEngine, policy: PolicyHolder, paging: Paging) -> Presence:
    """The worker's place among the processes, and what it does about what it hears there."""
    reload = PolicyReload(engine, policy)

    async def follow() -> None:
        await reload.follow()
        paging.check_up.ask()

    return Presence(
        engine,
        kind=ProcessKind.WORKER,
        version=running_version(),
        policy_hash=lambda: policy.current.hash,
        hearing={POLICY_CHANGED: follow, SILENCES_CHANGED: paging.silences.refresh},
    )


def make_worker(
    client: Client,
    settings: Settings,
    *,
    record: RecordActivities,
    coordinate: CoordinateActivities,
    notify: NotifyActivities,
    escalate: EscalateActivities,
    recover: RecoverActivities,
) -> Worker:
    """A Temporal worker for all of Holdfast's workflows and activities."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=[
            record.write_record,
            coordinate.request_recovery,
            coordinate.hold_breaker,
            coordinate.release_breaker,
            coordinate.hold_degradation,
            coordinate.release_degradation,
            notify.send_notification,
            escalate.prepare_page,
            escalate.admit_page,
            escalate.look_up,
            escalate.withdraw_pages,
            escalate.count_incidents,
            recover.perform_recovery,
        ],
        sticky_queue_schedule_to_start_timeout=_STICKY_PATIENCE,
        graceful_shutdown_timeout=_GRACE,
        # What is being sent hears with a heartbeat that it is no longer needed.
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
    )


def _tell_missing_secrets(policy: PolicyHolder) -> None:
    for missing in missing_secrets(policy.policy, os.environ):
        log.warning("a secret is missing", path=missing.path, why=missing.problem)

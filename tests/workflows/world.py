"""A small world for the workflows to act on, in the place of services, people and PostgreSQL."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.coordinate import CoordinateActivities
from holdfast.domain.audit import AuditEntry
from holdfast.domain.notification import Hop, Notification, Receipt
from holdfast.domain.page import (
    AdmissionRequest,
    IncidentsAsked,
    IncidentsCounted,
    LookUp,
    PageHold,
    PageOrder,
    PageRequest,
    PagesWithdrawn,
    Recipient,
    notification_id,
)
from holdfast.domain.person import Contact
from holdfast.domain.policy import Policy
from holdfast.domain.record import Record
from holdfast.domain.recovery import (
    RecoveryOutcome,
    RecoveryRequest,
    RecoveryResult,
    RecoveryRun,
    RecoveryStatus,
)
from holdfast.domain.report import Report, ReportBatch, fingerprint
from holdfast.domain.target import Target
from holdfast.domain.throttle import Admission, AdmissionKind
from workflows.breaker import CircuitBreakerWorkflow
from workflows.degradation import DegradationWorkflow
from workflows.incident import IncidentWorkflow
from workflows.messages import IncidentInput, ReportAnswer, ReportReports
from workflows.recovery import RecoveryWorkflow

WORKFLOWS = [
    IncidentWorkflow,
    RecoveryWorkflow,
    CircuitBreakerWorkflow,
    DegradationWorkflow,
]


Reached = tuple[Recipient, datetime | None]


def reached(target: Target, *contacts: Contact, edits: bool = False) -> Reached:
    """A target behind which are these contacts, tried for a minute each; itself without any."""
    own = contacts or (target.contact or Contact(channel="direct", to=str(target)),)
    hops = tuple(
        Hop(contact=each, person=target.person, edits=edits, deadline=timedelta(minutes=1))
        for each in own
    )
    return Recipient(target=target, who=str(target), person=target.person, hops=hops), None


@dataclass
class World:
    """What the workflows act on: it keeps what they did, and answers as a test wants.

    Attributes:
        carry_out: Decides the result of an action that an incident asks for.
        deliver: Called before a page counts as sent; may refuse it, or act as a person would.
        database_away: While set, nothing can be recorded.
        reach: Says who is behind a target at a moment, and until when.
        hold: Says what holds a page, if something does.
        admit: Says whether a contact may be told.
        incidents_before: How many incidents the service had before.
    """

    client: Client
    task_queue: str
    carry_out: Callable[[RecoveryRequest], RecoveryStatus | Awaitable[RecoveryStatus]] = field(
        default=lambda _: RecoveryStatus.SUCCEEDED
    )
    deliver: Callable[[Notification], Awaitable[None]] | None = None
    database_away: bool = False
    reach: Callable[[Target, datetime], Reached] = field(default=lambda target, _: reached(target))
    hold: Callable[[PageRequest], PageHold | None] | None = None
    admit: Callable[[AdmissionRequest], Admission] | None = None
    incidents_before: int = 0
    looked_up: list[PageRequest] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    requests: list[RecoveryRequest] = field(default_factory=list)
    runs: list[RecoveryRun] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    entries: dict[tuple[str, str, int], AuditEntry] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    @activity.defn
    async def write_record(self, record: Record) -> None:
        if self.database_away:
            raise ApplicationError("the database is away")
        self.records.append(record)
        for entry in record.entries:
            self.entries[entry.workflow_id, entry.run_id, entry.sequence] = entry

    @activity.defn
    async def send_notification(self, notification: Notification) -> Receipt:
        if self.deliver:
            await self.deliver(notification)
        self.notifications.append(notification)
        return Receipt(reference=f"ref-{notification.id}")

    @activity.defn
    async def prepare_page(self, request: PageRequest) -> PageOrder:
        self.looked_up.append(request)
        if self.hold and (hold := self.hold(request)):
            return PageOrder(hold=hold)
        order = self._order(request.page.targets, request.at)
        admitted = [
            recipient.model_copy(
                update={
                    "admission": self._admission(
                        AdmissionRequest(
                            at=request.at,
                            subject=request.subject,
                            policy=request.policy,
                            notification_id=notification_id(
                                request.subject.incident_id, request.page, place=place, hop=0
                            ),
                            contact=recipient.hops[0].contact,
                        )
                    )
                }
            )
            if recipient.hops
            else recipient
            for place, recipient in enumerate(order.recipients)
        ]
        return order.model_copy(update={"recipients": tuple(admitted)})

    @activity.defn
    async def admit_page(self, request: AdmissionRequest) -> Admission:
        return self._admission(request)

    @activity.defn
    async def look_up(self, request: LookUp) -> PageOrder:
        return self._order(request.targets, request.at)

    @activity.defn
    async def withdraw_pages(self, message: PagesWithdrawn) -> None:
        self.withdrawn.append(message.incident_id)

    @activity.defn
    async def count_incidents(self, asked: IncidentsAsked) -> IncidentsCounted:
        return IncidentsCounted(by_span=dict.fromkeys(asked.spans, self.incidents_before + 1))

    def _admission(self, request: AdmissionRequest) -> Admission:
        return self.admit(request) if self.admit else Admission()

    def _order(self, targets: Sequence[Target], at: datetime) -> PageOrder:
        found = [self.reach(target, at) for target in targets]
        ends = [ends_at for _, ends_at in found if ends_at]
        recipients = tuple(recipient for recipient, _ in found)
        return PageOrder(recipients=recipients, shift_ends_at=min(ends, default=None))

    @activity.defn
    async def perform_recovery(self, run: RecoveryRun) -> RecoveryResult:
        self.runs.append(run)
        status = await self._status(run.request)
        return RecoveryResult(status=status, reason=f"it {status}")

    @activity.defn
    async def request_recovery(self, request: RecoveryRequest) -> None:
        """Answers in the recovery workflow's place, before time can be skipped past it."""
        self.requests.append(request)
        status = await self._status(request)
        outcome = RecoveryOutcome(
            request_id=request.id,
            action_name=request.action_name,
            status=status,
            reason=f"it {status}",
            finished_at=datetime.now(UTC),
        )
        handle = self.client.get_workflow_handle(request.reply_to or "")
        await handle.signal("recovered", outcome)

    async def _status(self, request: RecoveryRequest) -> RecoveryStatus:
        answer = self.carry_out(request)
        return await answer if not isinstance(answer, RecoveryStatus) else answer

    @property
    def events(self) -> list[str]:
        """What was recorded, in the order of each workflow's facts."""
        return [entry.event.value for _, entry in sorted(self.entries.items(), key=_order)]

    def paged(self) -> list[tuple[int, int, str]]:
        """The pages that arrived: round, level, target."""
        return [
            (each.round, each.level, str(each.target))
            for each in self.notifications
            if each.kind.value == "page"
        ]

    async def report(
        self, policy: Policy, report: Report, *, count: int = 1, ago: timedelta = timedelta(0)
    ) -> "Told":
        """Tell a report as the API does, of an error that occurred so long ago."""
        now = datetime.now(UTC)
        batch = ReportBatch(
            id=str(uuid.uuid4()),
            fingerprint=fingerprint(report),
            sample=report,
            count=count,
            first_at=now - ago,
            last_at=now - ago,
        )
        return await self.tell(ReportReports(batch=batch, plan=policy.plan(report, at=now)))

    async def tell(self, message: ReportReports) -> "Told":
        """Tell a batch of reports by update-with-start."""
        operation = WithStartWorkflowOperation(
            IncidentWorkflow.run,
            IncidentInput(),
            id=message.batch.workflow_id,
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
        answer = await self.client.execute_update_with_start_workflow(
            IncidentWorkflow.report,
            message,
            start_workflow_operation=operation,
            id=message.batch.id,
        )
        return Told(message=message, answer=answer, handle=await operation.workflow_handle())


@dataclass(frozen=True)
class Told:
    """A batch that was told, and the workflow that it met."""

    message: ReportReports
    answer: ReportAnswer
    handle: WorkflowHandle[IncidentWorkflow, None]


def _order(item: tuple[tuple[str, str, int], AuditEntry]) -> tuple[str, datetime, int]:
    (workflow_id, _, sequence), entry = item
    return workflow_id, entry.at, sequence


@asynccontextmanager
async def working(
    world: World, *, recovery: bool = False, incidents: type = IncidentWorkflow
) -> AsyncIterator[Worker]:
    """A worker over the world.

    Args:
        world: What its workflows act on.
        recovery: Whether actions go through the real RecoveryWorkflow.
        incidents: What works on incidents.
    """
    coordinate = CoordinateActivities(client=world.client, task_queue=world.task_queue)
    worker = Worker(
        world.client,
        task_queue=world.task_queue,
        workflows=[incidents, *WORKFLOWS[1:]],
        activities=[
            world.write_record,
            world.send_notification,
            world.prepare_page,
            world.admit_page,
            world.look_up,
            world.withdraw_pages,
            world.count_incidents,
            world.perform_recovery,
            coordinate.request_recovery if recovery else world.request_recovery,
            coordinate.hold_breaker,
            coordinate.release_breaker,
            coordinate.hold_degradation,
            coordinate.release_degradation,
        ],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    async with worker:
        yield worker


def bundled_in(wait: timedelta) -> Callable[[AdmissionRequest], Admission]:
    """Has every page wait for so long when it is asked for, and go then."""
    until: dict[str, datetime] = {}

    def admit(request: AdmissionRequest) -> Admission:
        end = until.setdefault(request.notification_id, request.at + wait)
        if request.at >= end:
            return Admission()
        return Admission(kind=AdmissionKind.WAIT, until=end, reason="bundled with others")

    return admit


def only_health_helps(request: RecoveryRequest) -> RecoveryStatus:
    """Every action fails, and the service gets well by itself."""
    acts = request.action is not None
    return RecoveryStatus.FAILED if acts else RecoveryStatus.SUCCEEDED


async def until(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait for a condition with a deadline."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)

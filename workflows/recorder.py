"""Owns a workflow's records on their way to PostgreSQL: an ordered queue with a task of its own.

Nothing in a workflow waits for the database. A record is first written by a local activity, which
costs one event; when that fails the database is taken to be away, and a regular activity tries
until it is back, because a local one would hold up the workflow's task, and with it its pages.
"""

from datetime import timedelta

from pydantic import Field, JsonValue
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from activities.record import RecordActivities
from holdfast.domain.audit import SYSTEM, AuditEntry, AuditEvent
from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.incident import Incident
from holdfast.domain.model import Model
from holdfast.domain.record import Record, Subject
from holdfast.domain.recovery import RecoveryState

_ONCE = RetryPolicy(maximum_attempts=1)
_UNTIL_BACK = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=15)
)


class Backlog(Model):
    """What a workflow has not written yet, and how many facts it has told; survives its runs."""

    records: tuple[Record, ...] = ()
    sequence: int = Field(0, ge=0)


class Recorder:
    """Takes a workflow's facts in their order and writes them without making it wait."""

    def __init__(self, backlog: Backlog) -> None:
        self._waiting = list(backlog.records)
        self._writing: Record | None = None
        self._sequence = backlog.sequence
        self._database_away = False

    @property
    def is_drained(self) -> bool:
        """Whether everything is written."""
        return not self._waiting and self._writing is None

    @property
    def backlog(self) -> Backlog:
        """What the workflow's next run must go on with."""
        writing = [self._writing] if self._writing else []
        return Backlog(records=(*writing, *self._waiting), sequence=self._sequence)

    def note(
        self,
        event: AuditEvent,
        summary: str,
        *,
        subject: Subject,
        incident_id: str | None = None,
        actor: str = SYSTEM,
        detail: dict[str, JsonValue] | None = None,
    ) -> None:
        """Add one fact, and the state that its subject has with it.

        Args:
            event: What kind of fact.
            summary: The fact as a sentence.
            subject: The state after it.
            incident_id: The incident it belongs to, where the subject is not the incident itself.
            actor: Who did it.
            detail: What programs read.
        """
        self._sequence += 1
        incident = subject if isinstance(subject, Incident) else None
        entry = AuditEntry(
            workflow_id=workflow.info().workflow_id,
            run_id=workflow.info().run_id,
            sequence=self._sequence,
            at=workflow.now(),
            event=event,
            service=subject.service,
            incident_id=incident.id if incident else incident_id,
            category=incident.category if incident else None,
            severity=incident.severity if incident else None,
            actor=actor,
            summary=summary,
            detail=detail or {},
        )
        self._append(_record(entry, subject))

    def _append(self, record: Record) -> None:
        """Queue a record, in one with the last that waits if that is of the same subject."""
        if not self._waiting or _subject_key(self._waiting[-1]) != _subject_key(record):
            self._waiting.append(record)
            return
        entries = self._waiting[-1].entries
        if repeats := _folded(entries[-1], record.entries[0]):
            entries = (*entries[:-1], repeats)
        else:
            entries = (*entries, *record.entries)
        self._waiting[-1] = record.model_copy(update={"entries": entries})

    async def drain(self) -> None:
        """Write whatever comes, in order, for as long as the workflow runs."""
        while True:
            await workflow.wait_condition(lambda: bool(self._waiting))
            self._writing = self._waiting.pop(0)
            await self._write(self._writing)
            self._writing = None

    async def _write(self, record: Record) -> None:
        if not self._database_away:
            try:
                await workflow.execute_local_activity_method(
                    RecordActivities.write_record,
                    record,
                    start_to_close_timeout=timedelta(seconds=1),
                    retry_policy=_ONCE,
                    summary="write the record",
                )
            except FailureError as error:
                # A local activity's error comes as it is, not wrapped as a regular one's.
                if is_cancelled_exception(error):
                    raise
                self._database_away = True
            else:
                return
        try:
            await workflow.execute_activity_method(
                RecordActivities.write_record,
                record,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=_UNTIL_BACK,
                summary="write the record once the database is back",
            )
        except ActivityError:
            # Only what PostgreSQL will never take ends here; the history keeps it.
            workflow.logger.exception("a record could not be written")
        self._database_away = False


def _record(entry: AuditEntry, subject: Subject) -> Record:
    match subject:
        case Incident():
            return Record(entries=(entry,), incident=subject)
        case CircuitBreaker():
            return Record(entries=(entry,), breaker=subject)
        case Degradation():
            return Record(entries=(entry,), degradation=subject)
        case RecoveryState():
            return Record(entries=(entry,), recovery=subject)


def _subject_key(record: Record) -> tuple[str, str | None]:
    return record.entries[-1].workflow_id, record.incident.id if record.incident else None


def _folded(last: AuditEntry, new: AuditEntry) -> AuditEntry | None:
    """Two entries about repeats in one, so that a storm during an outage stays a short queue."""
    if last.event is not AuditEvent.INCIDENT_REPORTED or new.event is not last.event:
        return None
    told = sum(int(str(entry.detail["count"])) for entry in (last, new))
    detail = new.detail | {"count": told}
    return new.model_copy(
        update={"detail": detail, "summary": f"reported {told} more times in total"}
    )

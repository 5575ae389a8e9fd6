"""Owns the record: what a workflow tells the database in one write."""

from holdfast.domain.audit import AuditEntry
from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.incident import Incident
from holdfast.domain.model import Model
from holdfast.domain.recovery import RecoveryState

Subject = Incident | CircuitBreaker | Degradation | RecoveryState


class Record(Model):
    """Facts in their order, and the state that their subject has after the last of them.

    Writing a record twice is writing it once: each entry has its key, and an older state never
    takes a newer one's place.
    """

    entries: tuple[AuditEntry, ...]
    incident: Incident | None = None
    breaker: CircuitBreaker | None = None
    degradation: Degradation | None = None
    recovery: RecoveryState | None = None

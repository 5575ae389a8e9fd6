"""Owns the lease: the right to make one of the few probe calls of a half-open breaker."""

from pydantic import AwareDatetime, Field

from holdfast.domain.model import Model
from holdfast.domain.outcome import LeaseId, ReporterId


class LeaseRequest(Model):
    """A process wants to make a probe call.

    Attributes:
        epoch: The half-open epoch that it knows of.
    """

    lease_id: LeaseId
    reporter: ReporterId
    epoch: int = Field(ge=0)


class Lease(Model):
    """The right to make one probe call in half-open."""

    id: LeaseId
    reporter: ReporterId
    expires_at: AwareDatetime

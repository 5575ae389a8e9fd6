"""Owns the tables. Their history is in ``migrations/``; a test holds the two together.

Words with few values (status, severity, ...) are text without a CHECK: the domain's enums guard
them, and a new word must not need every process to stop for a migration.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    func,
    or_,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

TIME = DateTime(timezone=True)

# Reports that were answered with 202 and are not counted in an incident yet. Normally all but
# empty, and every row is deleted soon: it is vacuumed by count, not by share.
intake = Table(
    "intake",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("sample", JSONB, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_at", TIME, nullable=False),
    Column("last_at", TIME, nullable=False),
    Column("batch_id", Uuid(as_uuid=False)),
    Column("claimed_until", TIME, nullable=False),
    CheckConstraint("count >= 1", name="count_positive"),
    postgresql_with={"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "5000"},
)
Index(
    "ix_intake_waiting",
    intake.c.workflow_id,
    intake.c.id,
    postgresql_where=intake.c.batch_id.is_(None),
)
Index("ix_intake_batch_id", intake.c.batch_id, postgresql_where=intake.c.batch_id.is_not(None))
# A batch's claim is kept by its head, the row that it is named after.
Index(
    "ix_intake_claimed_until",
    intake.c.claimed_until,
    postgresql_where=or_(intake.c.batch_id.is_(None), intake.c.batch_id == intake.c.id),
)

# Facts, never changed: a trigger refuses it. `subjects` holds, by kind, the states after the last
# fact of a record; the read models are the latest of these.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", TIME, nullable=False),
    Column("event", Text, nullable=False),
    Column("service", Text),
    Column("incident_id", Text),
    Column("category", Text),
    Column("severity", Text),
    Column("actor", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("subjects", JSONB(none_as_null=True)),
    Column("written_at", TIME, nullable=False, server_default=func.now()),
    UniqueConstraint("workflow_id", "run_id", "sequence"),
)
Index("ix_audit_at_id", audit.c.at, audit.c.id)
Index("ix_audit_service_at_id", audit.c.service, audit.c.at, audit.c.id)
Index("ix_audit_incident_id_at_id", audit.c.incident_id, audit.c.at, audit.c.id)
Index("ix_audit_event_at_id", audit.c.event, audit.c.at, audit.c.id)

# The requests that brought reports and may come again, for about a day.
receipts = Table(
    "receipts",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("taken_at", TIME, nullable=False, server_default=func.now()),
)
Index("ix_receipts_taken_at", receipts.c.taken_at)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("report_count", BigInteger, nullable=False),
    Column("escalating", Boolean, nullable=False),
    Column("opened_at", TIME, nullable=False),
    Column("acknowledged_at", TIME),
    Column("acknowledged_by", Text),
    Column("resolved_at", TIME),
    Column("resolved_by", Text),
    Column("resolution", Text),
    Column("snapshot", JSONB, nullable=False),
    Column("recorded_at", TIME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)
Index(
    "ix_incidents_active",
    incidents.c.opened_at,
    incidents.c.id,
    postgresql_where=incidents.c.status != "resolved",
)
Index("ix_incidents_opened_at", incidents.c.opened_at)
Index("ix_incidents_service_opened_at", incidents.c.service, incidents.c.opened_at)
Index("ix_incidents_acknowledged_at", incidents.c.acknowledged_at)
Index("ix_incidents_resolved_at", incidents.c.resolved_at)

# Numbers the changes of what clients go by, in the order in which they are committed.
guidance_revision = Sequence("guidance_revision", metadata=metadata)

# Breakers, degradations and recoveries: one of each kind for a service. `revision` is the change
# that led to the state; 0 for a recovery, by which no client goes.
entities = Table(
    "entities",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("snapshot", JSONB, nullable=False),
    Column("recorded_at", TIME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="0"),
)
Index("ix_entities_revision", entities.c.revision)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", TIME, nullable=False, server_default=func.now()),
    Column("revoked_at", TIME),
)
# The audit log names the actor by the key's name.
Index(
    "uq_api_keys_active_name",
    api_keys.c.name,
    unique=True,
    postgresql_where=api_keys.c.revoked_at.is_(None),
)

processes = Table(
    "processes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("seen_at", TIME, nullable=False),
    Column("policy_hash", Text, nullable=False),
    Column("version", Text, nullable=False),
)

# The pages that contacts got lately, or that wait: admitted_at is when one was let through, by
# itself or, where bundle_id names another, in that one's message. Rows live for about a day.
pages = Table(
    "pages",
    metadata,
    Column("notification_id", Text, primary_key=True),
    Column("contact", Text, nullable=False),
    Column("incident_id", Text, nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("grouped_by", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("asked_at", TIME, nullable=False),
    Column("admitted_at", TIME),
    Column("bundle_id", Text),
    Column("claimed_until", TIME),
    Column("claims", Integer, nullable=False, server_default="0"),
    Column("sent_at", TIME),
    Column("withdrawn_at", TIME),
)
_IS_WAITING = and_(pages.c.admitted_at.is_(None), pages.c.withdrawn_at.is_(None))
Index("ix_pages_contact_asked_at", pages.c.contact, pages.c.asked_at)
Index("ix_pages_contact_admitted_at", pages.c.contact, pages.c.admitted_at)
Index("ix_pages_contact_sent_at", pages.c.contact, pages.c.sent_at)
Index("ix_pages_bundle_id", pages.c.bundle_id, postgresql_where=pages.c.bundle_id.is_not(None))
Index(
    "ix_pages_waiting",
    pages.c.contact,
    pages.c.grouped_by,
    pages.c.asked_at,
    postgresql_where=_IS_WAITING,
)
Index("ix_pages_waiting_incident_id", pages.c.incident_id, postgresql_where=_IS_WAITING)

# Planned times in which pages are held; over_at is when the last of them ends.
silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("match", JSONB, nullable=False),
    Column("starts_at", TIME, nullable=False),
    Column("ends_at", TIME, nullable=False),
    Column("recurrence", Text),
    Column("time_zone", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("over_at", TIME),
    Column("ended_at", TIME),
    Column("ended_by", Text),
)
Index("ix_silences_created_at_id", silences.c.created_at, silences.c.id)

# By the channel's or schedule's key in the policy file; rows of those that are gone stay.
channel_health = Table(
    "channel_health",
    metadata,
    Column("key", Text, primary_key=True),
    Column("ok", Boolean, nullable=False),
    Column("kind", Text),
    Column("reason", Text),
    Column("since", TIME, nullable=False),
    Column("checked_at", TIME, nullable=False),
)

# How guarded calls went lately. Unlogged: it costs no write-ahead log, and after a crash of
# PostgreSQL a window begins anew, as it would have within seconds anyway. Rows live for minutes.
outcomes = Table(
    "outcomes",
    metadata,
    Column("service", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("second", TIME, primary_key=True),
    Column("reporter", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("slow", BigInteger, nullable=False),
    prefixes=["UNLOGGED"],
    postgresql_with={"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "50000"},
)
Index("ix_outcomes_second", outcomes.c.second)
Index(
    "ix_outcomes_troubled",
    outcomes.c.service,
    outcomes.c.second,
    postgresql_where=or_(outcomes.c.failures > 0, outcomes.c.slow > 0),
)

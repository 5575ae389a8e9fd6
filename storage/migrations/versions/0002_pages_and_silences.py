"""The ledger of pages, silences, and an index that counts a service's incidents."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_pages()
    _create_silences()
    op.create_index("ix_incidents_service_opened_at", "incidents", ["service", "opened_at"])


def _create_pages() -> None:
    op.create_table(
        "pages",
        sa.Column("notification_id", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("incident_id", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("grouped_by", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("admitted_at", TIME),
        sa.Column("bundle_id", sa.Text()),
        sa.Column("claimed_until", TIME),
        sa.Column("claims", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", TIME),
        sa.Column("withdrawn_at", TIME),
        sa.PrimaryKeyConstraint("notification_id", name="pk_pages"),
    )
    bundled = sa.text("bundle_id IS NOT NULL")
    waiting = sa.text("admitted_at IS NULL AND withdrawn_at IS NULL")
    op.create_index("ix_pages_contact_asked_at", "pages", ["contact", "asked_at"])
    op.create_index("ix_pages_contact_admitted_at", "pages", ["contact", "admitted_at"])
    op.create_index("ix_pages_contact_sent_at", "pages", ["contact", "sent_at"])
    op.create_index("ix_pages_bundle_id", "pages", ["bundle_id"], postgresql_where=bundled)
    op.create_index(
        "ix_pages_waiting",
        "pages",
        ["contact", "grouped_by", "asked_at"],
        postgresql_where=waiting,
    )
    op.create_index(
        "ix_pages_waiting_incident_id", "pages", ["incident_id"], postgresql_where=waiting
    )


def _create_silences() -> None:
    op.create_table(
        "silences",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("match", JSONB(), nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("recurrence", sa.Text()),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("over_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("ended_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_index("ix_silences_created_at_id", "silences", ["created_at", "id"])

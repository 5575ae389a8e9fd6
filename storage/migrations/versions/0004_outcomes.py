"""The outcomes of guarded calls, summed by the second."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "outcomes",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("second", TIME, nullable=False),
        sa.Column("reporter", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("slow", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", "epoch", "second", "reporter", name="pk_outcomes"),
        prefixes=["UNLOGGED"],
        postgresql_with={
            "autovacuum_vacuum_scale_factor": "0",
            "autovacuum_vacuum_threshold": "50000",
        },
    )
    op.create_index("ix_outcomes_second", "outcomes", ["second"])
    op.create_index(
        "ix_outcomes_troubled",
        "outcomes",
        ["service", "second"],
        postgresql_where=sa.text("failures > 0 OR slow > 0"),
    )

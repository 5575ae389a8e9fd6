"""The health of channels and calendars."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "channel_health",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("since", TIME, nullable=False),
        sa.Column("checked_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_channel_health"),
    )

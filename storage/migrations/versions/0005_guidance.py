"""The revision of each state that clients go by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE guidance_revision")
    op.add_column(
        "entities", sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False)
    )
    # What was recorded before is news to who asks for what came after the beginning.
    op.execute(
        "UPDATE entities SET revision = nextval('guidance_revision') "
        "WHERE kind IN ('breaker', 'degradation')"
    )
    op.create_index("ix_entities_revision", "entities", ["revision"])

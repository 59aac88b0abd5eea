"""tokens written to a cache beside being read"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A default, not an UPDATE: it costs nothing however many records there are.
    op.add_column(
        "usage_records",
        sa.Column("written_on_top", sa.BigInteger(), server_default=sa.text("0"), nullable=True),
    )

"""when people were told that their balance is low"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("low_told_at", sa.BigInteger(), nullable=True))

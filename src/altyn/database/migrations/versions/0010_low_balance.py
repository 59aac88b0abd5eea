"""below which balance a customer wants to be warned"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("low_balance_nanos", sa.BigInteger(), nullable=True))

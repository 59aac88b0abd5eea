"""a route may speak another dialect than its provider"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("routes", sa.Column("dialect", sa.Text(), nullable=True))

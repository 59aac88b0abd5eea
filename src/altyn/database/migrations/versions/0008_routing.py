"""Draining, strategies of a model, and what a process knows of its routes."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, *columns in (
        (
            "providers",
            sa.Column("drained_at", sa.BigInteger()),
            sa.Column("resumed_at", sa.BigInteger()),
        ),
        ("models", sa.Column("route_strategy", sa.Text())),
        ("workers", sa.Column("health", sa.Text())),
    ):
        for column in columns:
            op.add_column(table, column)

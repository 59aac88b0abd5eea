"""people come in through an identity provider, and change their address"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("issuer", "subject"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])

    with op.batch_alter_table("tickets") as tickets:
        tickets.drop_constraint("purpose_is_known", type_="check")
        tickets.create_check_constraint(
            "purpose_is_known",
            "purpose IN ('set_up', 'invite', 'confirm', 'reset', 'change', 'form')",
        )

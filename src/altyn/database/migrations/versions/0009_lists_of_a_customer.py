"""lists of a customer: tokens nobody knows, filters in the index, entries beside charges"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


UNCOUNTED = sa.Column("uncounted", sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # By its key alone a sum over a month reads one tree instead of two.
        with op.batch_alter_table(
            "usage_hours", recreate="always", table_kwargs={"sqlite_with_rowid": False}
        ) as hours:
            hours.add_column(UNCOUNTED)
    else:
        op.add_column("usage_hours", UNCOUNTED)
    op.drop_index("usage_records_of_an_account", "usage_records")
    op.create_index(
        "usage_records_of_an_account",
        "usage_records",
        ["account_id", "created_at", "request_id", "model", "key_id", "status", "mode"],
    )
    # Records without tokens are few: refused calls, answers that broke.
    op.execute(
        "UPDATE usage_hours SET uncounted = (SELECT COUNT(*) FROM usage_records r"
        " WHERE r.account_id = usage_hours.account_id AND r.created_at >= usage_hours.hour_at"
        " AND r.created_at < usage_hours.hour_at + 3600000 AND r.key_id = usage_hours.key_id"
        " AND r.model = usage_hours.model AND r.mode = usage_hours.mode"
        " AND r.status = usage_hours.status AND r.input_uncached IS NULL)"
    )
    op.create_index(
        "entries_beside_charges",
        "entries",
        ["chain_account_id", "chain_number"],
        sqlite_where=sa.text("kind <> 'settle'"),
        postgresql_where=sa.text("kind <> 'settle'"),
    )

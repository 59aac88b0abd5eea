"""who sells what, until when, and who wrote a price"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE prices ADD COLUMN provider TEXT")
    op.execute("ALTER TABLE prices ADD COLUMN written_by TEXT")
    with op.batch_alter_table("markups") as markups:
        markups.alter_column("parts_per_million", existing_type=sa.BigInteger(), nullable=True)
    op.execute("ALTER TABLE markups ADD COLUMN model_id TEXT REFERENCES models (id)")
    op.execute("ALTER TABLE markups ADD COLUMN written_by TEXT")
    op.execute("ALTER TABLE models ADD COLUMN served_as TEXT REFERENCES models (id)")
    op.execute("ALTER TABLE models ADD COLUMN retires_at BIGINT")
    op.execute("ALTER TABLE models ADD COLUMN replaced_by TEXT")
    op.execute("ALTER TABLE usage_records ADD COLUMN served_model TEXT")
    refuse_changes_of_prices(op.get_bind().dialect.name)


def refuse_changes_of_prices(dialect: str) -> None:
    """Receipts are computed again from these rows: the database itself keeps them as they were."""
    for table in ("prices", "markups"):
        if dialect == "sqlite":
            for deed in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_refuse_{deed.lower()} BEFORE {deed} ON {table}"
                    f" BEGIN SELECT RAISE(ABORT, '{table} are never changed'); END"
                )
            continue
        op.execute(
            f"CREATE FUNCTION {table}_are_never_changed() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{table} are never changed'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_are_never_changed()"
        )

"""a hold keeps the markup of its quote"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE holds ADD COLUMN markup_ppm BIGINT")

"""What a resumed run needs: what steps found, how often they ran, and a wish to cancel."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns; everything that is there stays valid."""
    op.add_column("runs", sa.Column("cancels", sa.Integer, nullable=False, server_default="0"))
    op.add_column("steps", sa.Column("begun", sa.Integer, nullable=False, server_default="0"))
    op.add_column("steps", sa.Column("retries", sa.Integer, nullable=False, server_default="0"))
    op.add_column("steps", sa.Column("found", sa.JSON))
    op.add_column("resources", sa.Column("step", sa.String(32), nullable=False, server_default=""))

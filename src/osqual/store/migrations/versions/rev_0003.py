"""What workers need: which job a run is done for, when its process was last heard of, schedules."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns and a table; everything that is there stays valid."""
    op.add_column("runs", sa.Column("job", sa.BigInteger))
    op.add_column("runs", sa.Column("seen_at", sa.Float))
    op.create_index("runs_by_job", "runs", ["job"])
    op.create_table(
        "schedules",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("cron", sa.String(128), nullable=False),
        sa.Column("patterns", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
    )

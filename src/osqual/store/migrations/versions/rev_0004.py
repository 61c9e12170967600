"""What trust in a verdict needs: how failures look, attempts, mutes, and what was qualified."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add columns; everything that is there stays valid."""
    op.add_column("runs", sa.Column("qualification", sa.String(64)))
    op.add_column("runs", sa.Column("reused", sa.String(64)))
    op.create_index("runs_by_qualification", "runs", ["qualification"])
    for name, kind, default in (
        ("signature", sa.String(16), ""),
        ("attempts", sa.Integer, "1"),
        ("failures", sa.Integer, "0"),
        ("mute", sa.String(16), ""),
    ):
        column = sa.Column(name, kind, nullable=False, server_default=default)
        op.add_column("results", column)
    op.add_column("results", sa.Column("shadow", sa.String(16)))
    op.create_index("results_by_signature", "results", ["signature"])

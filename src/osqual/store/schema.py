"""The store's tables. Times are seconds since the epoch; JSON columns hold no secrets.

A change here needs a migration in `migrations/versions` and a new SCHEMA_REVISION.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_REVISION = "0004"

OPEN_STATES = ("intended", "created")
"""States of resources that somebody still has to end."""

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("configuration", Text, nullable=False),
    Column("catalogue", Text, nullable=False),
    Column("directory", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("verdict", String(16)),
    Column("exit_code", Integer),
    Column("reasons", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("recipe_digest", String(80)),
    Column("image_ids", JSON, nullable=False),
    Column("owner", Text, nullable=False),
    Column("version", String(32), nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("cancels", Integer, nullable=False, server_default="0"),
    Column("job", BigInteger),
    Column("seen_at", Float),
    Column("qualification", String(64)),
    Column("reused", String(64)),
    Index("runs_by_qualification", "qualification"),
    Index("runs_by_job", "job"),
    Index("runs_by_configuration", "configuration", "started_at"),
    Index("runs_by_status", "status"),
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("begun", Integer, nullable=False, server_default="0"),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("found", JSON(none_as_null=True)),
)

resources = Table(
    "resources",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("external_id", Text),
    Column("state", String(16), nullable=False),
    Column("details", JSON, nullable=False),
    Column("kept", Boolean, nullable=False),
    Column("intended_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("ended_at", Float),
    Column("step", String(32), nullable=False, server_default=""),
    Index("resources_by_state", "state", "run_id"),
    Index("resources_by_run", "run_id"),
)

suites = Table(
    "suites",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("exit_status", Integer),
    Column("problem", Text, nullable=False),
    Column("skipped", Text, nullable=False),
    Column("duration_s", Float, nullable=False),
)

results = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("suite", String(128), nullable=False),
    Column("test_id", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("signature", String(16), nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("mute", String(16), nullable=False, server_default=""),
    Column("shadow", String(16)),
    Index("results_by_run", "run_id"),
    Index("results_by_signature", "signature"),
    Index("results_by_test", "test_id"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("cron", String(128), nullable=False),
    Column("patterns", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("since", Float, nullable=False),
)

"""Alembic's entry point: it migrates the connection that the store hands over."""

from alembic import context

from osqual.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

"""Alembic runs this for every command. The connection comes from ``engine.migrate``, inside its transaction."""

from alembic import context

from maskproxy.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

"""Alembic's entry: always run by `catalog.database.Database.migrate` inside its transaction."""

from alembic import context

from catalog import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transactional_ddl=False,  # the caller's transaction holds it all
)
context.run_migrations()

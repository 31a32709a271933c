"""Runs alembic's migrations on the connection that the state hands over."""

from alembic import context

from flywheel.state.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

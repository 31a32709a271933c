"""Alembic migrations of the state; run by `State.open`."""

"""The lake's own tests open and close DuckDB as a deployment does."""

import pytest


@pytest.fixture(autouse=True)
def _duckdb_made_once() -> None:
    """Leave DuckDB as it is."""

"""A lake of its own for every test."""

import pytest

from flywheel.lake.store import Lake


@pytest.fixture
def lake(tmp_path):
    """Return an empty lake."""
    opened = Lake(tmp_path / "lake")
    yield opened
    opened.close()

"""A lake with calls of three days."""

import pytest

from tests.fakes.backfill_world import BackfillWorld


@pytest.fixture
def world(tmp_path):
    made = BackfillWorld(tmp_path)
    yield made
    made.close()

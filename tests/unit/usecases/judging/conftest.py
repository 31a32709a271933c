"""A judge behind a real socket for every test."""

import pytest

from tests.fakes.judge_world import JudgeWorld
from tests.fakes.openai_upstream import fake_upstream


@pytest.fixture
def upstream():
    """Return an endpoint that speaks OpenAI's protocol."""
    with fake_upstream() as upstream:
        yield upstream


@pytest.fixture
def world(tmp_path, upstream):
    """Return a workload whose judge is wrong about one answer in ten."""
    made = JudgeWorld(tmp_path, upstream)
    yield made
    made.close()

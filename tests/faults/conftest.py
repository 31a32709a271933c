"""What fault tests share."""

import pytest

from tests.fakes.stream_world import StreamWorld


@pytest.fixture
def stream(tmp_path, kafka_servers):
    """Yield empty topics on the session's broker, an empty lake and a group of the test's own."""
    world = StreamWorld(tmp_path, kafka_servers)
    yield world
    world.close()

"""A gateway for every test, and the clients that ask it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from starlette.testclient import TestClient

from flywheel.gateway.app import build_app
from tests.fakes.gateway_world import GatewayWorld, openai_client


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GatewayWorld]:
    """Return a gateway with one workload and one key."""
    world = GatewayWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def http(world: GatewayWorld) -> Iterator[TestClient]:
    """Return an HTTP client of the gateway."""
    with TestClient(build_app(world.gateway)) as client:
        yield client


@pytest.fixture
def client(http: TestClient) -> openai.OpenAI:
    """Return OpenAI's own client on the gateway."""
    return openai_client(http)

"""The gateway loads what the routes name on a replica that came back without it."""

from types import SimpleNamespace

import pytest

from flywheel.serve.fleet import FleetModelServer
from flywheel.settings import Settings
from flywheel.usecases.gateway_workloads import GatewayWorkloads
from flywheel.wiring import Platform
from tests.fakes.model_server import FakeModelServer
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld
from tests.fakes.small_deployment import build_base


@pytest.fixture
def world(tmp_path):
    """Return a deployment with the champion r1."""
    made = ReleaseWorld(tmp_path, MemoryRegistry(tmp_path))
    made.base = build_base(tmp_path, made)
    made.promoted("r1")
    yield made
    made.close()


def workloads_on(world, server):
    platform = Platform(
        Settings(home=world.root),
        world.clock,
        lake=world.lake,
        state=world.state,
        registry=world.registry,
        model_server=lambda _: server,
    )
    workloads = GatewayWorkloads(platform, None)
    workloads._serving = {world.workload.id: SimpleNamespace(workload=world.workload)}
    return workloads


def test_a_replica_that_lacks_a_routed_release_gets_it(world):
    """Through every server that the platform puts before the fleet; once."""
    replicas = {name: FakeModelServer({"base": str, "r1": str}) for name in ("a", "b")}
    replicas["a"].load("r1", world.state.releases.get("r1").adapter)
    fleet = FleetModelServer(replicas, probe_seconds=0.05)
    fleet.releases()
    assert fleet.lacking == {"r1"}
    workloads = workloads_on(world, fleet)
    workloads.mend_replicas()
    assert "r1" in replicas["b"].loaded
    assert not fleet.lacking
    before = list(replicas["b"].loaded)
    workloads.mend_replicas()
    fleet.close()
    assert list(replicas["b"].loaded) == before


def test_a_single_server_is_left_alone(world):
    """It lacks nothing that another one has."""
    server = FakeModelServer({"base": str, "r1": str})
    workloads_on(world, server).mend_replicas()
    assert "r1" not in server.loaded

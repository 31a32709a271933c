"""The gateway loads what the routes name on a replica that came back without it."""

from pathlib import Path
from types import SimpleNamespace

from flywheel.serve.fleet import FleetModelServer
from flywheel.usecases import gateway_workloads
from flywheel.usecases.gateway_workloads import GatewayWorkloads
from tests.fakes.model_server import FakeModelServer


def test_a_replica_that_lacks_a_routed_release_gets_it(monkeypatch):
    """Once; a fleet whose replicas hold the same is left alone, and so is a single server."""
    replicas = {name: FakeModelServer({"base": str, "r1": str}) for name in ("a", "b")}
    replicas["a"].load("r1", Path("/adapters/r1"))
    fleet = FleetModelServer(replicas, probe_seconds=0.05)
    servers = {"parts": fleet, "single": replicas["a"]}
    loaded = []

    def load_routed(_, server, workload_id):
        loaded.append(workload_id)
        server.load("r1", Path("/adapters/r1"))

    monkeypatch.setattr(gateway_workloads, "load_routed", load_routed)
    platform = SimpleNamespace(state=None, server=lambda workload: servers[workload.id])
    workloads = GatewayWorkloads(platform, None)
    workloads._serving = {
        name: SimpleNamespace(workload=SimpleNamespace(id=name)) for name in servers
    }
    fleet.releases()
    for _ in range(2):
        workloads.mend_replicas()
    fleet.close()
    assert loaded == ["parts"]
    assert "r1" in replicas["b"].loaded

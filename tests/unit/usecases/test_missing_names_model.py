"""A workload whose names nobody can mask is not served, and stops no other one."""

from flywheel.deployment.doctor import examine
from flywheel.settings import Settings
from flywheel.usecases.gateway_workloads import GatewayWorkloads
from flywheel.wiring import Platform
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld
from tests.fakes.small_deployment import build_base
from tests.fakes.workload_file import put_workload


def test_only_that_workload_is_not_served_and_doctor_names_it(tmp_path):
    """Rather than kept with its names."""
    world = ReleaseWorld(tmp_path, MemoryRegistry(tmp_path))
    build_base(tmp_path, world)
    names = {"names": {"model": "en_core_web_absent"}}
    unmasked = world.workload.model_copy(update={"id": "unmasked"})
    masked = type(unmasked).model_validate(
        unmasked.model_dump(mode="json", by_alias=True) | {"id": "masked", "privacy": names}
    )
    (record,) = (tmp_path / "bases").iterdir()
    for workload in (unmasked, masked):
        put_workload(tmp_path / "workloads", workload)
        (tmp_path / "bases" / f"{workload.id}.json").write_bytes(record.read_bytes())
    platform = Platform(
        Settings(home=tmp_path, workloads=tmp_path / "workloads"),
        world.clock,
        lake=world.lake,
        state=world.state,
        registry=world.registry,
        model_server=lambda _: world.server,
    )
    workloads = GatewayWorkloads(platform, None)
    workloads.renew()
    assert workloads.names() == ["unmasked"], workloads.problems()
    (problem,) = workloads.problems()
    assert problem.startswith("masked: privacy.names.model names en_core_web_absent")
    (finding,) = (one for one in examine(platform) if one.what == "names of masked")
    assert not finding.good
    assert "en_core_web_absent" in finding.detail
    workloads.close()
    world.close()

"""Which base models a deployment's model servers must serve, and which program serves each."""

from types import SimpleNamespace

import pytest

from flywheel.deployment import connections, vllm_programs
from flywheel.deployment.connections import connection_findings
from flywheel.deployment.needed_bases import built_bases, needed_bases
from flywheel.deployment.vllm_programs import assign_names
from flywheel.errors import ConfigurationError, RefusedError
from flywheel.ports.model_server import base_alias
from flywheel.wiring import Platform
from tests.fakes.gateway_world import build_gateway_home
from tests.fakes.micro_base import micro_base
from tests.fakes.swaps import recorded, switch, untrained_adapter
from tests.fakes.vllm_http import FakeVllm


@pytest.fixture
def deployment(tmp_path):
    """Return a deployment on one base, with another one beside it, and its platform."""
    settings, workload = build_gateway_home(tmp_path)
    platform = Platform(settings)
    moved = workload.model_copy(update={"base_model": "other"})
    other = platform.bases.remember(moved, micro_base(seed=1))
    yield SimpleNamespace(
        settings=settings, platform=platform, workload=workload, moved=moved, other=other
    )
    platform.close()


def test_a_base_is_needed_by_file_by_name_by_cycle_and_by_release(deployment, tmp_path):
    """Also by the release that a rollback brings back; the file's own comes first."""
    settings, state, other = deployment.settings, deployment.platform.state, deployment.other
    own = micro_base().digest
    assert [*needed_bases(settings)] == [own] == [*built_bases(settings)]
    named = settings.model_copy(update={"vllm_bases": f"{other.digest[:12]},"})
    assert [*needed_bases(named)] == [own, other.digest]
    adapter = untrained_adapter(tmp_path / "trained", other, seed=0)
    recorded(state, deployment.moved, "r1", tmp_path, adapter)
    base, workloads = needed_bases(settings)[other.digest]
    assert (base.digest, [one.id for one in workloads]) == (other.digest, ["parts"])
    [cycle] = state.cycles.of("parts")
    state.cycles.set_status(cycle.ref, "stopped", "enough")
    assert [*needed_bases(settings)] == [own]
    switch(state, "parts", "r1")
    assert [*needed_bases(settings)] == [own, other.digest]
    adapter = untrained_adapter(tmp_path / "trained-2", micro_base(), seed=0)
    recorded(state, deployment.workload, "r2", tmp_path, adapter)
    switch(state, "parts", "r2")
    assert [*needed_bases(settings)] == [own]
    state.releases.change("r2", replaced="r1")
    assert [*needed_bases(settings)] == [own, other.digest]


def test_a_name_that_is_not_one_base_is_refused(deployment):
    """Both micro bases are called tiny; the message has their digests."""
    for name, problem in (("tiny", "several"), ("smollm2", "not in the home")):
        settings = deployment.settings.model_copy(update={"vllm_bases": name})
        with pytest.raises(ConfigurationError, match=rf"{problem}.*{deployment.other.digest[:12]}"):
            needed_bases(settings)


def test_a_base_keeps_its_program():
    """Another one gets the next name, or that of one that is not needed any more."""
    a, b, c = ("a" * 64, "b" * 64, "c" * 64)
    assert assign_names([a], {}) == {a: "vllm"}
    assert assign_names([b, a], {"vllm": base_alias(a)}) == {a: "vllm", b: "vllm-2"}
    assert assign_names([b], {"vllm": base_alias(a)}) == {b: "vllm"}
    present = {"vllm": base_alias(a), "vllm-2": base_alias(b)}
    assert assign_names([b], present) == {b: "vllm-2"}
    assert assign_names([c, b], present) == {b: "vllm-2", c: "vllm"}


def test_a_second_vllm_needs_memory(deployment, monkeypatch):
    """It is refused with what there is and what each takes; one that runs is not counted."""
    settings = deployment.settings.model_copy(update={"vllm_cache_gb": 1.0})
    memory = SimpleNamespace(available=4 * 2**30)
    monkeypatch.setattr(vllm_programs.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(vllm_programs.vllm, "has_gpu", lambda: False)
    states = {"vllm": SimpleNamespace(pid=None)}
    supervisor = SimpleNamespace(alive=lambda: True)
    services = SimpleNamespace(supervisor=supervisor, states=lambda: states)
    both = {"vllm": micro_base(), "vllm-2": deployment.other}
    with pytest.raises(RefusedError, match=r"4\.0 GiB of free memory.*tiny 2\.7 GiB, tiny 2\.7"):
        vllm_programs._require_memory(services, settings, both)
    states["vllm"].pid = 7
    vllm_programs._require_memory(services, settings, both)


def test_doctor_wants_an_address_for_each_base(deployment, monkeypatch):
    """Two addresses of one base are no answer for another one's releases."""
    monkeypatch.setattr(connections, "_services", lambda _: "")
    plane = [FakeVllm(micro_base()) for _ in range(2)]
    state = deployment.platform.state
    state.cycles.open(
        deployment.moved,
        trigger="manual",
        opened_by="ann",
        reason="the bake-off",
        watermark=state.clock.now(),
        snapshot=deployment.moved.model_dump(mode="json", by_alias=True),
    )
    try:
        finding = _vllm_finding(deployment, plane)
        assert not finding.good
        assert f"No vLLM serves the base model tiny ({deployment.other.digest[:12]})" in (
            finding.detail
        )
        assert f"{plane[0].url} serves" in finding.detail
        plane.append(FakeVllm(deployment.other))
        finding = _vllm_finding(deployment, plane)
        assert finding.good
        assert "3 replicas (tiny: 2, tiny: 1), open" in finding.detail
    finally:
        for one in plane:
            one.kill()


def _vllm_finding(deployment, plane):
    urls = ",".join(one.url for one in plane)
    settings = deployment.settings.model_copy(update={"model_server": "vllm", "vllm_url": urls})
    [finding] = connection_findings(settings)
    return finding

"""Which base models a deployment's model servers must serve, and which program serves each."""

import shutil
from types import SimpleNamespace

import pytest

from flywheel.deployment import connections, vllm_programs
from flywheel.deployment.connections import connection_findings
from flywheel.deployment.needed_bases import built_bases, needed_bases
from flywheel.deployment.vllm_programs import assign_names
from flywheel.errors import ConfigurationError, NotFoundError, RefusedError, UnavailableError
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
    assert [*_needed(settings)] == [own] == [*built_bases(settings)]
    named = settings.model_copy(update={"vllm_bases": f"{other.digest[:12]},"})
    assert [*_needed(named)] == [own, other.digest]
    adapter = untrained_adapter(tmp_path / "trained", other, seed=0)
    recorded(state, deployment.moved, "r1", tmp_path, adapter)
    base, workloads = _needed(settings)[other.digest]
    assert (base.digest, [one.id for one in workloads]) == (other.digest, ["parts"])
    [cycle] = state.cycles.of("parts")
    state.cycles.set_status(cycle.ref, "stopped", "enough")
    assert [*_needed(settings)] == [own]
    switch(state, "parts", "r1")
    assert [*_needed(settings)] == [own, other.digest]
    adapter = untrained_adapter(tmp_path / "trained-2", micro_base(), seed=0)
    recorded(state, deployment.workload, "r2", tmp_path, adapter)
    switch(state, "parts", "r2")
    assert [*_needed(settings)] == [own]
    state.releases.change("r2", replaced="r1")
    assert [*_needed(settings)] == [own, other.digest]


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
    assert assign_names([c, b], present, are_kept=True) == {b: "vllm-2", c: "vllm-3"}


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
        vllm_programs._require_memory(services, settings, both, servers=2)
    states["vllm"].pid = 7
    vllm_programs._require_memory(services, settings, both, servers=2)


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


class Programs:
    """Services that keep a plan and do nothing; ``done`` says what was asked of them, in order."""

    def __init__(self, **bases) -> None:
        self.done = []
        self.plan = SimpleNamespace(
            applications={name.replace("_", "-"): _serving(base) for name, base in bases.items()}
        )
        self.supervisor = SimpleNamespace(alive=lambda: False)

    def run(self, applications, on_progress):  # noqa: ARG002 - as Services has it
        """Note the program and how many share a GPU."""
        [application] = applications
        self.done.append((application.name, application.servers))
        self.adapters = application.needs.adapters

    def remove(self, name):
        """Note the program."""
        self.done.append((name, "removed"))


@pytest.fixture
def started(deployment, monkeypatch):
    """Start the vLLMs of a deployment on programs that do nothing; return what was reported."""

    def application(services, settings, base, needs, name, *, servers, on_progress):
        return SimpleNamespace(name=name, servers=servers, needs=needs)

    monkeypatch.setattr(vllm_programs, "_application", application)
    monkeypatch.setattr(vllm_programs, "_load_routes", lambda *_: None)
    monkeypatch.setattr(vllm_programs, "_require_memory", lambda *_, **__: None)

    def start(programs, **settings):
        reported = []
        changed = deployment.settings.model_copy(update=settings)
        vllm_programs.run_vllm(programs, changed, reported.append)
        return "\n".join(reported)

    return start


def test_a_base_that_something_no_longer_needs_is_stopped(deployment, started):
    """As long as everything that may need it is known."""
    programs = Programs(vllm=deployment.other, vllm_2=micro_base())
    reported = started(programs)
    assert programs.done == [("vllm", "removed"), ("vllm-2", 1)]
    assert "vllm: stopped" in reported


def test_no_vllm_is_stopped_while_the_state_is_away(deployment, started, monkeypatch):
    """Nor made smaller, which answers production; another base gets neither its name nor its GPU."""

    def away(*_):
        raise UnavailableError("The state's database does not answer.")

    monkeypatch.setattr("flywheel.state.releases.Releases.of", away)
    programs = Programs(vllm=micro_base())
    started(programs)
    assert (programs.done, programs.adapters) == ([("vllm", 1)], 7)
    programs = Programs(vllm=deployment.other)
    reported = started(programs)
    assert programs.done == [("vllm-2", 2)]
    assert "the state is away (The state's database does not answer.)" in reported
    assert "vllm: left as it is" in reported


def test_one_base_that_cannot_be_found_stops_no_other(deployment, started, tmp_path):
    """It is said; a vLLM that may serve it goes on, until the base is not needed any more."""
    state, other = deployment.platform.state, deployment.other
    adapter = untrained_adapter(tmp_path / "trained", other, seed=0)
    recorded(state, deployment.workload, "r1", tmp_path, adapter)
    switch(state, "parts", "r1")
    files = [*other.folder.glob("*.safetensors")]
    for problem in ("is not as it was built", "No base with the digest"):
        if problem.startswith("No"):
            shutil.rmtree(other.folder)
        else:
            files[0].unlink()  # a link to the file of the cache
            files[0].write_bytes(b"damaged")
        programs = Programs(vllm=other)
        reported = started(programs)
        assert programs.done == [("vllm-2", 2)]
        assert "a base model may be missing: r1: " in reported
    state.releases.change("r1", facts={})
    programs = Programs(vllm=other)
    assert "r1: the state does not hold its base" in started(programs)
    assert programs.done == [("vllm-2", 2)]


def test_what_runs_makes_room_before_a_new_vllm_starts(deployment, started):
    """On a GPU the new one would not find its share, whatever its name."""
    programs = Programs(vllm_2=micro_base())
    started(programs, vllm_bases=deployment.other.digest)
    assert programs.done == [("vllm-2", 2), ("vllm", 2)]


def test_a_release_that_cannot_be_loaded_stops_no_program(deployment, monkeypatch):
    """It is said, and the routes of other workloads are loaded."""

    def refuse(*_):
        raise NotFoundError("No base with the digest")

    monkeypatch.setattr(vllm_programs, "reconcile_server", refuse)
    reported = []
    vllm_programs._load_routes_of(deployment.platform, "parts", reported.append)
    assert reported == ["parts: not loaded into vLLM: No base with the digest"]


def _needed(settings):
    needed = needed_bases(settings)
    assert needed.gaps == ()
    return needed.by_digest


def _serving(base):
    # Started for two workloads.
    command = ["--served-model-name", "base", base_alias(base.digest), "--max-lora-rank", "8"]
    return SimpleNamespace(command=(*command, "--max-loras", "7", "--max-model-len", "256"))


def _vllm_finding(deployment, plane):
    urls = ",".join(one.url for one in plane)
    settings = deployment.settings.model_copy(update={"model_server": "vllm", "vllm_url": urls})
    [finding] = connection_findings(settings)
    return finding

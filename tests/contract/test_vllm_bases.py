"""Addresses of vLLM that serve different bases: each release is loaded and asked on its own."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.errors import ConfigurationError, IntegrityError, UnavailableError, UnservedBaseError
from flywheel.ports.model_server import base_alias
from flywheel.release.serving import load_champion, load_routed, unload_retired
from flywheel.serve import vllm_client, vllm_facts
from flywheel.serve.vllm_client import ServedModels, VllmClient
from flywheel.usecases.answering import ChampionClient
from flywheel.usecases.by_hand import open_by_hand
from flywheel.usecases.cycle import codec_of, open_cycle, train_candidate
from flywheel.usecases.gateway_workloads import GatewayWorkloads
from flywheel.usecases.served_bases import require_served
from flywheel.wiring import Platform
from tests.fakes.gateway_world import build_gateway_home
from tests.fakes.micro_base import micro_base
from tests.fakes.swaps import recorded, switch, untrained_adapter
from tests.fakes.vllm_http import FakeVllm
from tests.fakes.waiting import wait_until

TEXT = "the seal leaks"


@pytest.fixture
def bases():
    """Return the base that the file names, and the one that the workload moves to."""
    return SimpleNamespace(old=micro_base(), new=micro_base(seed=1))


@pytest.fixture
def plane(bases):
    """Return two replicas of the old base and one of the new one."""
    vllms = [FakeVllm(base) for base in (bases.old, bases.new, bases.old)]
    yield vllms
    for vllm in vllms:
        vllm.kill()


@pytest.fixture
def deployment(tmp_path, bases):
    """Return the settings of a deployment with both bases in its home."""
    settings, workload = build_gateway_home(tmp_path, bases.old)
    platform = Platform(settings)
    platform.bases.remember(workload.model_copy(update={"base_model": "other"}), bases.new)
    return settings


@pytest.fixture
def opened(deployment):
    """Open platforms on addresses, and close them."""
    platforms = []

    def on(*vllms):
        urls = ",".join(vllm.url for vllm in vllms)
        changes = {"model_server": "vllm", "vllm_url": urls, "drain_seconds": 0}
        platforms.append(Platform(deployment.model_copy(update=changes)))
        return platforms[-1]

    yield on
    for platform in platforms:
        for server in platform._servers._plain.values():
            server.close()
        platform.close()


@pytest.fixture
def releases(opened, bases, plane, tmp_path):
    """Record r1 on the old base and r2 on the new one; r1 is the champion."""
    platform = opened(*plane)
    workload = platform.workload("parts")
    for number, (name, base) in enumerate((("r1", bases.old), ("r2", bases.new))):
        adapter = untrained_adapter(tmp_path / f"trained-{name}", base, seed=number)
        recorded(platform.state, workload, name, tmp_path, adapter)
    switch(platform.state, workload.id, "r1")
    return platform


def held(plane):
    """Return the adapters of each."""
    return [set(vllm.adapters) for vllm in plane]


def test_a_release_is_loaded_on_every_replica_of_its_base_and_asked_there(releases, plane):
    """Two of the old base, one of the new; promotion, rollback and unloading follow."""
    platform = releases
    workload, state = platform.workload("parts"), platform.state
    server, codec = platform.server(workload), codec_of(platform, workload)
    load_champion(state, server, workload.id)
    server.load("r2", Path(state.releases.get("r2").adapter))
    assert held(plane) == [{"r1"}, {"r2"}, {"r1"}]
    for _ in range(4):
        server.answer("r1", codec, [TEXT])
        server.answer("r2", codec, [TEXT])
    assert plane[1].answered.keys() == {"r2"}
    assert all(plane[number].answered["r1"] for number in (0, 2))
    assert all(not vllm.unknown for vllm in plane)

    switch(state, workload.id, "r2")
    assert ChampionClient.of(platform, workload).ask([TEXT]).release == "r2"
    assert unload_retired(state, server, workload.id) == ["r1"]
    assert held(plane) == [set(), {"r2"}, set()]
    switch(state, workload.id, "r1")  # as a rollback does, after its load
    assert load_routed(state, server, workload.id) == ["r1"]
    assert held(plane) == [{"r1"}, {"r2"}, {"r1"}]


def test_another_process_finds_and_unloads_what_lies_on_the_other_base(releases, opened, plane):
    """After the move the file names the new base: the old release goes from the old one's replicas."""
    state, workload = releases.state, releases.workload("parts")
    load_champion(state, releases.server(workload), workload.id)
    switch(state, workload.id, "r2")
    other = opened(*plane)
    moved = workload.model_copy(update={"base_model": "other"})
    assert other.server(moved).releases() == ("base", "r1")
    assert unload_retired(other.state, other.server(moved), workload.id) == ["r1"]
    assert held(plane) == [set(), set(), set()]


def test_a_release_answers_where_the_base_of_the_file_is_no_longer_served(releases, opened, plane):
    """The champion moved, and the old vLLM was taken down: the gateway answers, ready."""
    state, workload = releases.state, releases.workload("parts")
    switch(state, workload.id, "r2")
    platform = opened(plane[1])
    workloads = GatewayWorkloads(platform, None)
    workloads.renew()
    assert workloads.problems() == []
    assert ChampionClient.of(platform, workload).ask([TEXT]).release == "r2"
    workloads.close()


def test_a_gateway_is_not_ready_for_a_champion_that_no_address_serves(releases, opened, plane):
    """It names the base and what each address serves; the workload is back once one serves it."""
    state, workload = releases.state, releases.workload("parts")
    switch(state, workload.id, "r2")
    platform = opened(plane[0], plane[2])
    workloads = GatewayWorkloads(platform, None)
    workloads.renew()
    [problem] = workloads.problems()
    assert "None of 2 addresses serves the base model" in problem
    assert workloads.find("parts") is None
    # The address is given to the other base: it is asked again each time.
    port = plane[2].port
    plane[2].kill()
    plane[2] = FakeVllm(micro_base(seed=1), port=port)
    wait_until(lambda: workloads.renew() or not workloads.problems())
    assert "r2" in plane[2].adapters
    workloads.close()


def test_a_cycle_that_moves_a_workload_needs_a_server_of_each_base(releases, opened, plane):
    """It is refused before it is open, with the base, the addresses and the command."""
    state, workload = releases.state, releases.workload("parts")
    moved = workload.model_copy(update={"base_model": "other"})
    require_served(releases, moved)
    alone = opened(plane[0])
    with pytest.raises(UnservedBaseError, match=f"No vLLM serves.*{plane[0].url} serves") as error:
        require_served(alone, moved)
    assert "flywheel services up vllm" in error.value.next_step
    [first] = state.cycles.of("parts")
    state.cycles.set_status(first.ref, "stopped", "enough")
    how = {"person": "ann", "reason": "the bake-off", "base_model": "other"}
    with pytest.raises(UnservedBaseError):
        open_by_hand(alone, "parts", **how)
    assert not any(cycle.is_open for cycle in state.cycles.of("parts"))
    assert open_by_hand(releases, "parts", **how).opened.workload.base_model == "other"


def test_training_gate_and_release_name_the_base_that_no_address_serves(releases, opened, plane):
    """Training before it begins, gate and release steps where they load a release; one or several."""
    state, workload = releases.state, releases.workload("parts")
    [first] = state.cycles.of("parts")
    state.cycles.set_status(first.ref, "stopped", "enough")
    moved = workload.model_copy(update={"base_model": "other"})
    folder = Path(state.releases.get("r2").adapter)
    for platform in (opened(plane[0]), opened(plane[0], plane[2])):
        cycle = open_cycle(platform, moved, trigger="manual", reason="the bake-off")
        with pytest.raises(UnservedBaseError, match="No vLLM serves the base model tiny"):
            train_candidate(platform, cycle.ref, on_progress=lambda _: None)
        for asked_on in (moved, workload):
            with pytest.raises(UnservedBaseError, match="serves") as error:
                platform.server(asked_on).load("r2", folder)
            assert base_alias(micro_base(seed=1).digest) in error.value.next_step
        state.cycles.set_status(cycle.ref, "stopped", "enough")
    assert held(plane) == [set(), set(), set()]


def test_what_is_away_may_serve_the_base(releases, opened, plane):
    """That is waited for, and is no refusal; a caller that can go on is told."""
    workload = releases.workload("parts").model_copy(update={"base_model": "other"})
    plane[1].kill()
    with pytest.raises(UnavailableError, match="does not answer"):
        require_served(releases, workload)
    notices = []
    require_served(releases, workload, on_away=notices.append)
    assert len(notices) == 1
    with pytest.raises(UnavailableError, match=r"None of 1 replicas.*2 more serve another base"):
        releases.server(workload).answer("base", codec_of(releases, workload), [TEXT])


def test_a_name_is_not_enough_where_the_folder_can_be_read(bases, plane, opened):
    """A vLLM that was given another base's name is not believed."""
    new = bases.new
    served = ServedModels((plane[0]._alias,), str(new.folder), {})
    with pytest.raises(IntegrityError, match="which holds the base model"):
        served.serves(bases.old.digest)
    assert ServedModels((plane[0]._alias,), "/of/another/machine", {}).serves(bases.old.digest)
    assert not served.serves(new.digest)
    plane[0]._root = str(new.folder)
    server = opened(plane[0]).server
    with pytest.raises(IntegrityError):
        server(opened(plane[0]).workload("parts")).releases()


def test_a_wrong_token_is_not_another_base(releases, monkeypatch):
    """It is said as it is."""

    def refuse(_):
        raise ConfigurationError("refuses the token")

    monkeypatch.setattr("flywheel.serve.vllm_client.VllmClient.models", refuse)
    server = releases.server(releases.workload("parts"))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="refuses the token"):
            server.releases()


@pytest.mark.parametrize("problem", ["token", "folder"])
def test_an_address_with_a_problem_hides_no_other(bases, plane, monkeypatch, problem):
    """In whichever order; the problem is said where no other address serves the base."""
    old, bad = plane[0], plane[2]
    if problem == "folder":
        bad._root = str(bases.new.folder)
    else:
        models = VllmClient.models

        def refuse(client):
            if client.url == bad.url:
                raise ConfigurationError("refuses the token")
            return models(client)

        monkeypatch.setattr(VllmClient, "models", refuse)
    for urls in ([bad.url, old.url], [old.url, bad.url]):
        vllm_facts.require_served(bases.old, urls, None)
    expected = ConfigurationError if problem == "token" else IntegrityError
    for urls in ([bad.url, plane[1].url], [plane[1].url, bad.url]):
        with pytest.raises(expected, match=r"refuses the token|which holds the base model"):
            vllm_facts.require_served(bases.old, urls, None)


@pytest.mark.parametrize("error", [PermissionError, NotADirectoryError])
def test_a_folder_that_may_not_be_read_is_that_of_another_machine(bases, monkeypatch, error):
    """The name is believed then."""

    def refuse(_):
        raise error

    monkeypatch.setattr(vllm_client, "read_base", refuse)
    served = ServedModels((base_alias(bases.old.digest),), "/of/another/user", {})
    assert served.serves(bases.old.digest)

"""Promotion: the checks, the switch, the projections."""

from datetime import timedelta
from pathlib import Path

import pytest

from flywheel.artifacts.gate_file import GateReportRef
from flywheel.errors import ConcurrencyError, IntegrityError, RefusedError
from flywheel.release.promotion import HEAD_TAG, PROMOTION_STEPS, promotion_lease
from tests.fakes.release_world import ReleaseWorld


def _void_reason(world, cycle) -> str:
    return world.state.approvals.of_cycle(cycle.ref)[-1].void_reason


def test_promotion_moves_route_alias_and_status(world):
    """An approved candidate becomes the champion everywhere."""
    cycle = world.approved("r1")
    steps: list[str] = []
    done = world.promote(cycle, on_step=steps.append)
    workload_id = world.workload.id
    assert tuple(steps) == PROMOTION_STEPS
    assert world.state.routes.champion(workload_id) == "r1"
    assert (done.version, done.replaced) == ("1.0.0", "base")
    assert world.registry.aliases(workload_id) == {"champion": done.model_version}
    assert world.state.cycles.get(cycle.ref).status == "promoted"
    assert "r1" in world.server.loaded
    rows = world.state.audit.of(f"{workload_id}/{cycle.name}")
    events = [row.event for row in rows if not row.event.startswith("cycle.")]
    assert events == ["training.done", "gate.decided", "approval.approved", "promotion.done"]
    world.state.audit.verify()


def test_promotion_twice_is_one_promotion(world):
    """A repeated promotion takes no step again, changes nothing and returns the same."""
    cycle = world.approved("r1")
    first = world.promote(cycle)
    rows = len(world.state.audit.of())
    steps: list[str] = []
    assert world.promote(cycle, on_step=steps.append) == first
    assert steps == []
    assert len(world.state.audit.of()) == rows


def test_promotion_that_was_cut_off_keeps_its_number(world):
    """The number is reserved at the first try, and a repeat gets the same one."""
    cycle = world.approved("r1")

    def cut_off(step: str) -> None:
        if step == "verified":
            raise ConcurrencyError("cut off", next_step="repeat it")

    with pytest.raises(ConcurrencyError):
        world.promote(cycle, on_step=cut_off)
    assert world.promote(cycle).version == "1.0.0"


def test_second_promotion_keeps_the_first_as_previous(world):
    """The alias previous names the release that was replaced."""
    world.promoted("r1")
    cycle = world.judged("r2")
    world.approve(cycle)
    done = world.promote(cycle)
    aliases = world.registry.aliases(world.workload.id)
    first = world.state.releases.get("r1")
    assert aliases == {"champion": done.model_version, "previous": first.model_version}
    assert (done.version, done.replaced, first.status) == ("1.0.1", "r1", "retired")


def test_promotion_beside_a_deleted_model_version_is_done_and_says_so(world):
    """Who answers is decided; that an alias could not follow is part of the result."""
    world.promoted("r1")
    version = world.state.releases.get("r1").model_version
    world.registry.lose(world.workload.id, version)
    cycle = world.judged("r2")
    world.approve(cycle)
    done = world.promote(cycle)
    assert world.state.routes.champion(world.workload.id) == "r2"
    assert "no model version of r1" in done.alias_problem


@pytest.fixture
def mlflow_world(tmp_path, mlflow_registry):
    """Return a fresh workload whose registry is MLflow itself."""
    made = ReleaseWorld(tmp_path, mlflow_registry)
    yield made
    made.close()


def test_model_version_carries_card_changelog_and_tags(mlflow_world):
    """The registry tells what a release is, with untrusted text escaped."""
    world = mlflow_world
    cycle = world.approved("r1")
    done = world.promote(cycle)
    tags = world.registry.tags_of(world.workload.id, done.model_version)
    assert tags["flywheel.version"] == "1.0.0"
    assert tags["flywheel.approver_simulated"] == "true"
    version = world.registry.client.get_model_version(world.workload.id, done.model_version)
    folder = Path(version.source.removeprefix("file://"))
    assert (folder / "adapter_model.safetensors").read_bytes() == b"r1"
    card = (folder.parent / "model_card.md").read_text()
    assert "&#60;b&#62;defects" in card
    assert "<b>" not in card
    assert "(simulated approver)" in card
    assert (folder.parent / "CHANGELOG.md").exists()


def test_changed_adapter_is_not_promoted(world):
    """One changed byte of the adapter stops the promotion."""
    cycle = world.approved("r1")
    file = Path(world.state.releases.get("r1").adapter) / "adapter_model.safetensors"
    file.write_bytes(b"rx")
    with pytest.raises(IntegrityError):
        world.promote(cycle)
    assert world.state.routes.champion(world.workload.id) == "base"
    assert "not the file that was trained" in _void_reason(world, cycle)
    with pytest.raises(IntegrityError):
        world.approve(cycle)


def test_replaced_adapter_with_its_own_manifest_is_not_promoted(world):
    """A folder that is whole in itself but not the recorded one stops the promotion."""
    from flywheel.artifacts.adapter_folder import write_manifest

    cycle = world.approved("r1")
    folder = Path(world.state.releases.get("r1").adapter)
    (folder / "adapter_model.safetensors").write_bytes(b"other")
    write_manifest(folder, {"release": "r1", "base_digest": "b" * 64})
    with pytest.raises(IntegrityError, match="not the one recorded"):
        world.promote(cycle)


def test_failed_smoke_test_switches_nothing(world):
    """A candidate whose answers break the schema does not get the route."""
    cycle = world.approved("r1")
    world.server.replies["r1"] = lambda _: None
    with pytest.raises(IntegrityError, match="smoke test"):
        world.promote(cycle)
    assert world.state.routes.champion(world.workload.id) == "base"
    assert "r1" not in world.server.loaded
    assert world.registry.aliases(world.workload.id) == {}


def test_unapproved_cycle_is_not_promoted(world):
    """Without an approval nothing moves."""
    cycle = world.judged("r1")
    with pytest.raises(RefusedError, match="no approval"):
        world.promote(cycle)


def test_promotion_waits_for_the_lease(world):
    """While another live process changes the champion, a promotion is refused."""
    cycle = world.approved("r1")
    with (
        world.state.leases.hold(promotion_lease(world.workload.id), "another machine", 60),
        pytest.raises(ConcurrencyError),
    ):
        world.promote(cycle)


def test_lost_lease_switches_nothing(world):
    """A process that lost its lease on the way cannot switch the route."""
    cycle = world.approved("r1")

    def take_over(step: str) -> None:
        if step == "smoke_tested":
            from sqlalchemy import create_engine, text

            engine = create_engine(world.url)
            with engine.begin() as connection:
                connection.execute(text("UPDATE leases SET token = token + 1, holder = 'other'"))
            engine.dispose()

    with pytest.raises(ConcurrencyError, match="lost"):
        world.promote(cycle, on_step=take_over)
    assert world.state.routes.champion(world.workload.id) == "base"


def test_approval_withdrawn_on_the_way_switches_nothing(world):
    """A rejection between the smoke test and the switch is heeded."""
    from flywheel.release.approval import reject

    cycle = world.approved("r1")

    def change_mind(step: str) -> None:
        if step == "smoke_tested":
            reject(world.state, cycle.ref, actor="eve", reason="no")

    with pytest.raises(RefusedError):
        world.promote(cycle, on_step=change_mind)
    assert world.state.routes.champion(world.workload.id) == "base"
    assert world.state.cycles.get(cycle.ref).status == "rejected"


def test_approval_that_expires_on_the_way_is_recorded_as_expired(world):
    """The switch is refused, and the cycle waits for another review rather than for a repeat."""
    cycle = world.approved("r1")

    def wait(step: str) -> None:
        if step == "smoke_tested":
            world.clock.move_to(world.clock.now() + timedelta(days=7))

    with pytest.raises(RefusedError, match="expired"):
        world.promote(cycle, on_step=wait)
    assert world.state.routes.champion(world.workload.id) == "base"
    assert world.state.cycles.get(cycle.ref).status == "expired"
    assert "expired" in _void_reason(world, cycle)


def test_model_version_names_the_newest_audit_row_of_its_registration(world):
    """Registry and audit prove each other: the tag is the head that the audit had."""
    cycle = world.approved("r1")
    newest = world.state.audit.of()[-1]
    done = world.promote(cycle)
    tags = world.registry.tags_of(world.workload.id, done.model_version)
    assert tags[HEAD_TAG] == f"{newest.seq}:{newest.hash}"


def test_restarted_server_gets_the_champion_back(world):
    """The route table says what a server must serve; damaged files are not served."""
    from flywheel.release.serving import load_champion

    assert load_champion(world.state, world.server, world.workload.id) == "base"
    world.promoted("r1")
    world.server.unload("r1")
    assert load_champion(world.state, world.server, world.workload.id) == "r1"
    assert "r1" in world.server.loaded
    world.server.unload("r1")
    (Path(world.state.releases.get("r1").adapter) / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(IntegrityError):
        load_champion(world.state, world.server, world.workload.id)


def test_a_candidate_is_served_as_it_was_judged(world):
    """Judged in 16 bits it is not promoted where 4 bits are served; older reports say nothing."""
    cycle = world.approved("r1")
    attempt = world.state.cycles.attempt(cycle.ref)
    report = attempt.gate.read()
    assert report.subject.served_precision is None
    judged = report.model_copy(
        update={"subject": report.subject.model_copy(update={"served_precision": "bfloat16"})}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GateReportRef, "read", lambda _: judged)
        with pytest.raises(RefusedError, match="judged at bfloat16, and nf4 is served"):
            world.promote(cycle, served_precision="nf4")
    assert world.promote(cycle, served_precision="nf4").release == "r1"

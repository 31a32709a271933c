from dataclasses import replace
from datetime import timedelta

import pytest

from flywheel.artifacts.snapshot import Snapshot
from flywheel.clock import ManualClock
from flywheel.dataset import build
from flywheel.settings import Settings
from flywheel.usecases.cycle import _recipe_text, assemble_dataset
from flywheel.wiring import Platform
from flywheel.workload.training import TrainingRecipe
from tests.fakes.review_world import END, START, classification
from tests.fakes.state_rows import LINEAGE


@pytest.fixture
def asked(monkeypatch):
    """Return what the dataset stage is asked for, in place of building one."""
    options = {}

    def take(lake, opened, **given):
        options.update(given)
        return Snapshot(given["home"], "h", "defects", "2026Q1-1", 1, {}, {})

    monkeypatch.setattr(build, "build_dataset", take)
    return options


@pytest.fixture
def deployment(tmp_path):
    """Return an empty deployment at the end of the first week."""
    settings = Settings(home=tmp_path, workloads=tmp_path / "workloads", hash_key="k")
    platform = Platform(settings, ManualClock(END))
    yield platform
    platform.close()


def open_cycle(platform, key):
    """Open a cycle of the workload."""
    workload = classification()
    cycle = platform.state.cycles.open(
        workload,
        trigger="manual",
        trigger_key=key,
        opened_by="ann",
        reason="asked for",
        watermark=END,
        snapshot=workload.model_dump(mode="json", by_alias=True),
    )
    return cycle.ref


def assemble(platform, champion, releases):
    """Assemble a cycle's dataset where there are these releases: (name, promotion)."""
    workload, state = classification(), platform.state
    for name, promoted_at in releases:
        cycle = open_cycle(platform, name)
        state.releases.record(
            name,
            cycle=cycle,
            attempt=1,
            manifest_digest=f"manifest-{name}",
            adapter=str(platform.home / name),
            dataset_hash=f"data-{name}",
            lineage=replace(LINEAGE, dataset_folder=platform.home / name),
        )
        state.releases.change(name, promoted_at=promoted_at)
        state.cycles.set_status(cycle, "stopped", "over")
    if champion != "base":
        with state.leases.hold("champion") as lease:
            state.routes.switch_champion(
                workload.id, expected="base", release=champion, reason="better", lease=lease
            )
    return assemble_dataset(platform, open_cycle(platform, "now"))


FIRST, SECOND = START, START + timedelta(days=90)
RELEASES = [("r1", FIRST), ("r2", SECOND), ("r3", None)]


def test_dataset_learns_whose_figures_rest_on_control_items(deployment, asked):
    """The champion's calibration rests on its own snapshot's holdout."""
    assemble(deployment, "r2", RELEASES)
    assert asked["champion"] == build.Champion("r2", SECOND, "data-r2")
    assert asked["holdout_since"] == SECOND


def test_after_a_rollback_the_old_champions_figures_count(deployment, asked):
    """Its quality is measured since its own promotion; the holdout stays recent."""
    assemble(deployment, "r1", RELEASES)
    assert asked["champion"] == build.Champion("r1", FIRST, "data-r1")
    assert asked["holdout_since"] == SECOND


def test_base_model_has_no_calibration_to_protect(deployment, asked):
    """Before the first promotion every control item is held out anyway."""


def test_a_key_that_came_later_does_not_rename_a_release():
    """A release is named by its recipe: an upgrade trains the same one again under the same name."""
    assert _recipe_text(TrainingRecipe()) == (
        '{"method":"sft","epochs":6,"learning_rate":0.001,"batch_size":16,"rank":16,"alpha":32,'
        '"dropout":0.0,"maximum_tokens":256,"checkpoint_steps":50,"timeout_seconds":21600,'
        '"quantization":"nf4","packing":"auto","checkpointing":"auto","preference":null}'
    )
    assert '"workers":2' in _recipe_text(TrainingRecipe(workers=2))

from datetime import timedelta
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from flywheel.dataset import build
from flywheel.lake import Lake
from flywheel.usecases.cycle import assemble_dataset
from tests.fakes.review_world import END, START, classification


@pytest.fixture
def asked(monkeypatch):
    """Return what the dataset stage is asked for, in place of building one."""
    options = {}

    def take(lake, workload, **given):
        options.update(given)
        return SimpleNamespace(folder=given["home"], hash="h", counts={})

    monkeypatch.setattr(build, "build_dataset", take)
    return options


def platform(tmp_path, champion, releases):
    """Return a platform whose state knows these releases: (name, cycle, promotion)."""
    workload = classification()
    rows = [
        SimpleNamespace(
            release=name,
            cycle=cycle,
            promoted_at=at,
            dataset_hash=f"data-{name}",
            facts={"dataset_folder": str(tmp_path / name)},
        )
        for name, cycle, at in releases
    ]
    opened = SimpleNamespace(snapshot=workload.model_dump(by_alias=True), attempt=1)
    state = SimpleNamespace(
        cycles=SimpleNamespace(get=lambda *_: opened, attempt=lambda *_: SimpleNamespace(number=1)),
        attempts=SimpleNamespace(add_facts=lambda *_, **__: None),
        releases=SimpleNamespace(of=lambda _: rows),
        routes=SimpleNamespace(champion=lambda _: champion),
    )
    return SimpleNamespace(
        lake=Lake(tmp_path / "lake"),
        home=tmp_path,
        state=state,
        clock=SimpleNamespace(now=lambda: END),
        settings=SimpleNamespace(hash_key=SecretStr("k")),
    )


FIRST, SECOND = START, START + timedelta(days=90)
RELEASES = [("r1", "2026Q1-1", FIRST), ("r2", "2026Q2-1", SECOND), ("r3", "2026Q3-1", None)]


def test_dataset_learns_whose_figures_rest_on_control_items(tmp_path, asked):
    """The champion's calibration rests on its own snapshot's holdout."""
    assemble_dataset(platform(tmp_path, "r2", RELEASES), "defects", "2026Q3-2")
    assert asked["champion"] == build.Champion("r2", SECOND, "data-r2")
    assert asked["holdout_since"] == SECOND


def test_after_a_rollback_the_old_champions_figures_count(tmp_path, asked):
    """Its quality is measured since its own promotion; the holdout stays recent."""
    assemble_dataset(platform(tmp_path, "r1", RELEASES), "defects", "2026Q3-2")
    assert asked["champion"] == build.Champion("r1", FIRST, "data-r1")
    assert asked["holdout_since"] == SECOND


def test_base_model_has_no_calibration_to_protect(tmp_path, asked):
    """Before the first promotion every control item is held out anyway."""
    assemble_dataset(platform(tmp_path, "base", []), "defects", "2026Q1-1")
    assert (asked["champion"], asked["holdout_since"]) == (None, None)

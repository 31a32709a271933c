"""Numbers that a person watches over time."""

import json
from datetime import timedelta

import pytest

from flywheel.usecases.by_hand import open_by_hand
from flywheel.usecases.cycle import run_folder
from flywheel.usecases.figures import review_figures, traffic_figures, training_report
from tests.fakes.hand_world import HandWorld


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


def test_without_traffic_nothing_is_made_up(world):
    """Counts are zero; accuracy and latency are not measured."""
    traffic = traffic_figures(world, world.workloads["parts"])
    review = review_figures(world, world.workloads["parts"])

    assert (traffic.answers, traffic.latency_p50, traffic.latency_p95) == (0, None, None)
    assert (review.control, review.new_corrections, review.threshold) == (None, 0, 1000)


def test_latency_is_of_the_last_seven_days(world, monkeypatch):
    """The lake is asked for the answers of a week."""
    asked = {}

    def rows(query, span):
        asked.update(span)
        return [{"answers": 3, "failed": 1, "p50": 20.0, "p95": 90.0}]

    monkeypatch.setattr(world.lake, "rows", rows)
    traffic = traffic_figures(world, world.workloads["parts"])

    assert asked["end"] - asked["start"] == timedelta(days=7)
    assert (traffic.failed, traffic.latency_p95) == (1, 90.0)


def test_a_training_is_a_picture_and_a_table(world):
    """The recipe is the one that the cycle was opened with, nested settings by their path."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    folder = run_folder(world, cycle.ref, 1)
    folder.mkdir(parents=True)
    before = training_report(world, cycle.ref)
    line = {"step": 1, "steps": 2, "epoch": 0.5, "loss": 1.5, "tokens_per_second": 9, "seconds": 1}
    (folder / "progress.jsonl").write_text(json.dumps(line) + "\n")
    after = training_report(world, cycle.ref)

    assert before.picture is None
    assert after.picture.startswith(b"\x89PNG")
    settings = {row["setting"]: row["value"] for row in after.recipe}
    assert settings["epochs"] == world.workloads["parts"].training.epochs
    assert all(not isinstance(value, dict) for value in settings.values())

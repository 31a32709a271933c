"""What more labels would bring: kept with the cycle, held against the next one, shown by the command."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from flywheel.artifacts.label_forecast import LabelForecast, StoredGain
from flywheel.artifacts.references import SnapshotRef
from flywheel.artifacts.snapshot import open_snapshot
from flywheel.cli.labels import app
from flywheel.errors import MeasurementError, NotFoundError
from flywheel.usecases.by_hand import open_by_hand
from flywheel.usecases.explain import explain_cycle
from flywheel.usecases.label_forecast import forecast_labels, record_forecast
from tests.fakes.hand_world import HandWorld
from tests.fakes.release_world import rows_for, write_snapshot


def _cycle_with(world, rows: int, golden: int = 60):
    """Open a cycle whose attempt built a snapshot of so many rows, and close it."""
    workload = world.workloads["parts"]
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    splits = {
        "train": rows_for(workload, "train", rows),
        "golden": rows_for(workload, "golden", golden),
    }
    folder = write_snapshot(world.home / "datasets" / "parts", workload, cycle.name, splits)
    reference = SnapshotRef(folder, folder.name, {"train": rows, "golden": golden})
    world.state.attempts.record(cycle.ref, 1, reference)
    made = record_forecast(world, cycle.ref, open_snapshot(folder))
    world.state.cycles.set_status(cycle.ref, "stopped", "test")
    world.clock.move_to(world.clock.now() + timedelta(days=100))
    return cycle, made


@pytest.fixture
def world(tmp_path):
    """Return a deployment without cycles."""
    world = HandWorld(tmp_path)
    yield world
    world.close()


def test_a_forecast_is_kept_and_held_against_the_next_cycle(world, monkeypatch):
    """The same golden cases, half as many rows again: what came is compared with the interval."""
    first, made = _cycle_with(world, 90)
    assert isinstance(made, LabelForecast)
    assert world.state.cycles.attempt(first.ref, 1).label_forecast == made
    assert "learner" not in str(explain_cycle(world, first.ref).lines)
    second, _ = _cycle_with(world, 135)
    report = forecast_labels(world, "parts")
    assert (report.cycle, report.forecast.rows) == (second.name, 135)
    assert dict(report.gains)[100] is not None
    assert dict(report.gains)[500] is None
    [held] = report.held
    assert (held.cycle, held.later_cycle, held.labels) == (first.name, second.name, 45)
    assert held.came == pytest.approx(report.forecast.accuracy - made.accuracy)
    assert held.within is not None

    monkeypatch.setattr("flywheel.cli.labels.open_platform", lambda **_: world)
    shown = CliRunner().invoke(app, ["forecast", "parts"], catch_exceptions=False).stdout
    assert "not the adapter" in shown
    assert "beyond twice the 135 rows" in shown
    assert f"forecast of {first.name}, after +45 rows" in shown
    facts = json.loads(CliRunner().invoke(app, ["forecast", "parts", "--json"]).stdout)
    assert facts["held"][0]["labels"] == 45


def test_other_golden_cases_are_not_compared(world):
    """A gain between two different tests is no gain."""
    _cycle_with(world, 90)
    _cycle_with(world, 120, golden=70)
    [held] = forecast_labels(world, "parts").held
    assert (held.came, held.within) == (None, None)
    assert held.reason == "the golden cases are others now"


def test_too_few_labels_stop_no_cycle(world):
    """There is no forecast, and the reason is what the command says."""
    _, made = _cycle_with(world, 20)
    assert isinstance(made, MeasurementError)
    with pytest.raises(MeasurementError, match="20 training rows are too few"):
        forecast_labels(world, "parts")


def test_without_a_snapshot_there_is_nothing_to_look_at(world):
    """The error says what builds one."""
    with pytest.raises(NotFoundError, match="has built a dataset"):
        forecast_labels(world, "parts")


def test_gains_between_the_steps():
    """Linear between two steps; nothing beyond twice the rows."""
    steps = (StoredGain(50, 0.02, 0.0, 0.04), StoredGain(100, 0.03, 0.01, 0.06))
    made = LabelForecast("proxy", 100, 60, "d", 0.8, 0.9, ((100, 0.8),), steps)
    assert made.gain(25) == StoredGain(25, 0.01, 0.0, 0.02)
    assert made.gain(75).expected == pytest.approx(0.025)
    assert made.gain(101) is None
    assert LabelForecast.from_facts(json.loads(json.dumps(made.to_facts()))) == made

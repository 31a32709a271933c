"""A judge's verdict is no label: what trains, gates and releases does not know of it."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flywheel.cli import build_app
from flywheel.clock import ManualClock
from flywheel.quality.control_slice import control_accuracy
from flywheel.usecases.judging.calibration import calibrate_judge
from tests.fakes.judge_world import MONDAY
from tests.fakes.workload_file import put_workload

DAY = timedelta(days=1)
# Where verdicts are written, read for order and figure, declared, and removed.
ROOMS = (
    "usecases/judging/",
    "usecases/erasing/",
    "lake/judge_tables.py",
    "lake/meanings.py",
    "lake/erasure.py",
)


def test_no_other_room_reads_what_a_judge_said(repository: Path):
    """Neither dataset nor training, gate, release, drift or review merging."""
    folder = repository / "flywheel"
    readers = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "judge_verdicts" in path.read_text(encoding="utf-8")
    }
    assert {one for one in readers if not one.startswith(ROOMS)} == set()
    assert any(one.startswith("usecases/judging/") for one in readers)


def test_corrections_and_peoples_figure_stay_what_they_were(world):
    """Whatever the judge said of the same answers."""
    world.traffic(range(60))
    world.judge_by_people(range(60))
    world.clock.move_to(MONDAY + DAY)
    span = world.lake, world.workload, MONDAY, MONDAY + DAY
    before = world.lake.rows("SELECT * FROM corrections ORDER BY ALL"), control_accuracy(*span)
    world.errs = lambda _: True
    calibrate_judge(world, world.workload)
    after = world.lake.rows("SELECT * FROM corrections ORDER BY ALL"), control_accuracy(*span)
    assert after == before


@pytest.fixture
def command(world, monkeypatch):
    """Return the command line on the world's home, at its time."""
    put_workload(world.home / "workloads", world.workload)
    monkeypatch.setenv("FLYWHEEL_HOME", str(world.home))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(world.home / "workloads"))
    monkeypatch.setattr("flywheel.wiring.platform.SystemClock", lambda: ManualClock(MONDAY + DAY))
    return lambda *words: CliRunner().invoke(build_app(), list(words), catch_exceptions=False)


def test_the_commands_show_where_a_judge_stands(world, command):
    """Calibrate, show and status, for people and as JSON."""
    world.traffic(range(60))
    world.judge_by_people(range(60))
    assert "only orders the queue" in command("judge", "show", "defects").stdout
    said = command("judge", "calibrate", "defects").stdout
    assert "agreement with people on 60 answers: 0.900" in said
    assert "calibrated until 2026-08-03" in said
    facts = json.loads(command("judge", "show", "defects", "--json").stdout)
    assert (facts["standing"]["calibrated"], facts["asked"]) == (True, 60)
    assert "judge of defects: critic counts until 2026-08-03" in command("status").stdout
    (row,) = json.loads(command("status", "--json").stdout)["workloads"]
    assert row["judge"].startswith("critic counts until")
